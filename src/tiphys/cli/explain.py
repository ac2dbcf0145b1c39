"""Why is a rollout not further, and what would the next pass do?"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tiphys.cli.adopt import from_cluster, in_space, rehearsed
from tiphys.cli.deciding import deciding_options
from tiphys.cli.dumps import read_dumps
from tiphys.cli.options import Connected, chosen, name_argument
from tiphys.cli.patches import RefusedError
from tiphys.cli.session import in_session

if TYPE_CHECKING:
    from tiphys.controller.verdicts import Rehearsal


@click.command(cls=Connected)
@name_argument
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE", help="Dump of objects to look at instead of a cluster; may be repeated."
)
@deciding_options
def explain(name: str, *, files: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - one for each option of the controller
    """
    Tell why the rollout NAME is not further, and what the next pass of a controller would write.

    The pass is made on copies of the objects, and nothing is written. Products that can be asked what their traffic does are not asked:
    where one has to confirm something, that shows as a wait.
    """
    context = click.get_current_context()
    if files:
        found = in_space(read_dumps(files), chosen(context).get("namespace"), everywhere=False)
    else:
        found, _ = in_session(context, lambda client: from_cluster(client, options, everywhere=False))
    one = next((each for each in asyncio.run(rehearsed(found, options)) if each.key.name == name), None)
    if one is None:
        raise RefusedError(f'rollouts.argoproj.io "{name}" not found')
    for line in told(one):
        click.echo(line)


def told(one: "Rehearsal") -> Sequence[str]:
    """Give the lines: how it is, what is refused, what it waits for, what would be written."""
    waits = [f"waits: {wait}" for wait in one.waits]
    writes = [f"would write: {write.what}" for write in one.writes]
    quiet = [] if waits or writes or one.refusals else ["waits for nothing"]
    return [f"{one.key.name}: {one.phase or 'no phase yet'}", *(f"refused: {each}" for each in one.refusals), *waits, *writes, *quiet]
