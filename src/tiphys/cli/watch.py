"""How is a rollout, and is it done? (User interfaces 1.5.)"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import click

from tiphys.api.rollout import Rollout
from tiphys.api.words import Phase
from tiphys.cli.kinds import ROLLOUTS
from tiphys.cli.options import Connected, name_argument
from tiphys.cli.patches import RefusedError
from tiphys.cli.session import Api, duration, in_session
from tiphys.cli.standing import Standing, standing
from tiphys.kube.client import Client

TIMED_OUT: Final = "Rollout status watch exceeded timeout"


def once_text(found: Standing) -> str:
    """Write a status that is not waited for."""
    return found.phase if found.ends_watch else f"{found.phase} - {found.message}"


async def tell_once(api: Api, name: str) -> int:
    """Print the status as it is now; gives the exit status."""
    found = standing(await api.get(ROLLOUTS, name, namespace=api.namespace, into=Rollout))
    click.echo(once_text(found))
    return 1 if found.phase == Phase.DEGRADED else 0


async def tell_until_done(changes: AsyncIterator[Rollout | None], name: str) -> None:
    """
    Print the status at each change until the rollout is healthy.

    Raises:
        RefusedError: it is degraded, or was deleted.

    """
    told: Standing | None = None
    async for rollout in changes:
        if rollout is None:
            raise RefusedError(f'rollout "{name}" was deleted')
        found = standing(rollout)
        if found != told:
            click.echo(str(found))
            told = found
        if found.phase == Phase.DEGRADED:
            raise RefusedError(f"The rollout is in a degraded state with message: {found.message}")
        if found.ends_watch:
            return


@click.command(cls=Connected)
@name_argument
@click.option("-w", "--watch/--no-watch", default=True, help="Wait until the rollout is healthy or degraded (the default).")
@click.option("-t", "--timeout", default="0", metavar="DURATION", help="Longest wait; 0 waits for ever.")
def status(name: str, *, watch: bool, timeout: str) -> int:
    """
    Tell how the rollout NAME is.

    Ends with status 0 if it is healthy (or, without waiting, not degraded), and with 1 if it is degraded or the time is up.
    """
    seconds = duration(timeout, option="--timeout")

    async def wait(client: Client) -> bool:
        from tiphys.cli import live  # noqa: PLC0415 - only watching needs it

        async def tell() -> None:
            async with aclosing(live.rollouts(client, name)) as changes:
                await tell_until_done(changes, name)

        return await live.within(seconds or None, tell)

    ctx = click.get_current_context()
    if not watch:
        return in_session(ctx, lambda client: tell_once(client, name))
    try:
        done = in_session(ctx, wait)
    except KeyboardInterrupt:
        done = False
    if not done:
        raise RefusedError(TIMED_OUT)
    return 0
