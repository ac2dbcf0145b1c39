"""What may happen to any Rollout in a toy cluster?"""

from datetime import timedelta

from settling.world import World


def sicken(toy: World, version: str, ready: int) -> None:
    toy.sick[version] = ready


def heal(toy: World) -> None:
    toy.sick.clear()


def wait(toy: World, seconds: int) -> None:
    toy.now += timedelta(seconds=seconds)


def scale(toy: World, replicas: int) -> None:
    toy.patch_spec(replicas=replicas)


def pause(toy: World, paused: bool) -> None:  # noqa: FBT001 - drawn, not called by people
    toy.patch_spec(paused=paused)


def kill(toy: World, version: str, count: int) -> None:
    toy.kill(version, count)
