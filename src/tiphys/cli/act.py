"""How do people steer a rollout? (User interfaces 1.2 and 1.3.)"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import click

from tiphys.api.rollout import Rollout
from tiphys.cli import patches
from tiphys.cli.kinds import ROLLOUTS
from tiphys.cli.options import Connected, Group, name_argument, names_argument
from tiphys.cli.patches import Patch, Skip
from tiphys.cli.session import Api, duration, in_session, patch_status
from tiphys.kube.errors import NotFoundError


async def promote_rollout(api: Api, name: str, skip: Skip) -> str:
    """
    Promote, and say so.

    Raises:
        RefusedError: steps are to be skipped where there are none.

    """
    rollout = await api.get(ROLLOUTS, name, namespace=api.namespace, into=Rollout)
    wanted = patches.promotion(rollout, skip)
    try:
        if wanted.status is not None:
            await api.patch_subresource(ROLLOUTS, name, "status", wanted.status, namespace=api.namespace)
    except NotFoundError:
        await api.patch(ROLLOUTS, name, wanted.together, namespace=api.namespace)
    else:
        if wanted.spec is not None:
            await api.patch(ROLLOUTS, name, wanted.spec, namespace=api.namespace)
    return f"rollout '{name}' {'fully promoted' if skip is Skip.FULL else 'promoted'}"


async def patch_spec(api: Api, name: str, patch: Patch) -> object:
    """Change the spec of a rollout."""
    return await api.patch(ROLLOUTS, name, patch, namespace=api.namespace)


def _each(names: tuple[str, ...], patch: Patch, done: str, write: Callable[[Api, str, Patch], Awaitable[object]]) -> None:
    """Write *patch* to each of *names* and tell of each; the first that fails ends it."""

    async def work(api: Api) -> None:
        for name in names:
            await write(api, name, patch)
            click.echo(f"rollout '{name}' {done}")

    in_session(click.get_current_context(), work)


@click.command(cls=Connected)
@name_argument
@click.option("--full", is_flag=True, help="Skip everything that is left: steps, pauses and analysis.")
@click.option("-c", "--skip-current-step", is_flag=True, help="Deprecated: skip the current step.")
@click.option("-a", "--skip-all-steps", is_flag=True, help="Deprecated: skip all steps that are left.")
def promote(name: str, *, full: bool, skip_current_step: bool, skip_all_steps: bool) -> None:
    """
    Let the rollout NAME go on.

    A rollout that a pause holds goes on; one that waits for something else leaves the current step.
    """
    if skip_current_step and skip_all_steps:
        raise click.UsageError("--skip-current-step and --skip-all-steps exclude each other.")
    for given, option in ((skip_current_step, "--skip-current-step"), (skip_all_steps, "--skip-all-steps")):
        if given:
            click.echo(f"Flag {option} has been deprecated, use without a flag or --full instead", err=True)
    skip = Skip.STEP if skip_current_step else Skip.ALL_STEPS if skip_all_steps else Skip.FULL if full else Skip.NO
    click.echo(in_session(click.get_current_context(), lambda client: promote_rollout(client, name, skip)))


@click.command(cls=Connected)
@names_argument
def abort(names: tuple[str, ...]) -> None:
    """Take all traffic of the rollouts back to their stable versions."""
    _each(names, patches.ABORT, "aborted", patch_status)


@click.group(cls=Group, aliases={"ro": "rollout", "rollouts": "rollout"})
def retry() -> None:
    """Try again what was aborted."""


@retry.command("rollout")
@names_argument
def retry_rollout(names: tuple[str, ...]) -> None:
    """Begin the aborted updates of the rollouts again, from the first step."""
    _each(names, patches.RETRY, "retried", patch_status)


@click.command(cls=Connected)
@names_argument
def pause(names: tuple[str, ...]) -> None:
    """Hold the rollouts where they are, until `resume` or `promote`."""
    _each(names, patches.PAUSE, "paused", patch_spec)


@click.command(cls=Connected)
@names_argument
def resume(names: tuple[str, ...]) -> None:
    """Let rollouts that `pause` holds go on; pauses among their steps stay."""
    _each(names, patches.RESUME, "resumed", patch_spec)


@click.command(cls=Connected)
@name_argument
@click.option("-i", "--in", "delay", default="0s", metavar="DURATION", help="Wait so long first, for example 10s or 1h.")
def restart(name: str, *, delay: str) -> None:
    """Restart the pods of the rollout NAME, as many at a time as it can spare."""
    at = datetime.now(UTC) + timedelta(seconds=duration(delay, option="--in"))
    _each((name,), patches.restart_patch(at), f"restarts in {delay}", patch_spec)
