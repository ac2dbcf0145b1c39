"""At which moments may a controller die, so that it matters?"""

from scenarios import Story


def crash_points(plain: Story) -> list[tuple[int, int]]:
    """
    Give (before, after) of every moment to die at around the writes of a story without deaths.

    After one write of a pass is the same moment as before the next one: nothing else happens in between, and whoever comes after knows
    nothing of either.
    """
    moments = plain.onlooker.moments
    assert len(moments) == 2 * plain.controller.api.writes
    first_seen = {moment: at for at, moment in reversed(list(enumerate(moments)))}
    return [(at // 2 + 1, 0) if at % 2 == 0 else (0, at // 2 + 1) for at in sorted(first_seen.values())]
