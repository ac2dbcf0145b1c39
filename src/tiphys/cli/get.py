"""How is one rollout shown? (User interfaces 1.6.)"""

import os
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

import click
import msgspec

from tiphys.cli.options import Group, name_argument, no_color_option
from tiphys.cli.patches import RefusedError
from tiphys.cli.reading import read_family
from tiphys.cli.session import in_session
from tiphys.cli.structured import structured
from tiphys.cli.tree import tree
from tiphys.kube.client import Client

CLEAR: Final = "\x1b[H\x1b[2J\x1b[0;0H"


def use_colour(environ: Mapping[str, str], *, no_color: bool) -> bool:
    """Tell whether to paint: not on a dumb terminal, and not where the user says so in any of the usual ways."""
    return not no_color and environ.get("TERM") != "dumb" and not environ.get("NO_COLOR")


@click.group(cls=Group, aliases={"ro": "rollout", "rollouts": "rollout"})
def get() -> None:
    """Show one object and everything that belongs to it."""


@get.command("rollout")
@name_argument
@click.option("-w", "--watch", is_flag=True, help="Draw again whenever something changes.")
@click.option("--timeout-seconds", type=click.FloatRange(min=0), default=0, metavar="N", help="Stop watching after N seconds; 0 is never.")
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
@no_color_option
def rollout(name: str, *, watch: bool, timeout_seconds: float, as_json: bool, no_color: bool) -> None:
    """Show the rollout NAME: its steps and weights, revisions, ReplicaSets, pods and analysis."""
    if as_json and watch:
        raise click.UsageError("--json: found --watch too, wanted one of both")
    colour = use_colour(os.environ, no_color=no_color)

    async def show(client: Client) -> None:
        family, now = await read_family(client, name), datetime.now(UTC)
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(structured(family, now)), indent=2))
            return
        click.echo(tree(family, now, colour=colour), nl=False, color=colour)

    async def redraw(client: Client) -> None:
        from tiphys.cli.live import within  # noqa: PLC0415 - only watching needs it

        await within(timeout_seconds or None, lambda: draw_for_ever(client, name, colour=colour))

    in_session(click.get_current_context(), redraw if watch else show)


async def draw_for_ever(client: Client, name: str, *, colour: bool) -> None:
    """
    Draw the rollout at every change.

    Raises:
        RefusedError: the rollout was deleted.

    """
    from tiphys.cli.live import families  # noqa: PLC0415 - only watching needs it

    async with aclosing(families(client, name)) as seen:
        async for family in seen:
            if family is None:
                raise RefusedError(f'rollout "{name}" was deleted')
            click.echo(CLEAR + tree(family, datetime.now(UTC), colour=colour), nl=False, color=True)
