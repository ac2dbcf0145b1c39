"""How are many rollouts shown, one per line? (User interfaces 1.7.)"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import click

from tiphys.api.rollout import Rollout
from tiphys.cli.kinds import ROLLOUTS
from tiphys.cli.options import Group, rollout_names
from tiphys.cli.rows import Layout, Row, layout, row
from tiphys.cli.session import Api, in_session
from tiphys.kube.client import Client

Key = tuple[str, str]


def rows_of(rollouts: Iterable[Rollout], name: str = "") -> dict[Key, Row]:
    """Put *rollouts*, or only those called *name*, in lines, sorted by namespace and name."""
    wanted = [found for found in rollouts if name in {"", found.metadata.name}]
    return {(found.metadata.namespace, found.metadata.name): row(found) for found in sorted(wanted, key=_place)}


def _place(rollout: Rollout) -> Key:
    return (rollout.metadata.namespace, rollout.metadata.name)


class Printer:
    """
    Prints lines, and later only those that look different from before.

    The first call decides how wide the columns are.
    """

    def __init__(
        self, *, with_namespace: bool, with_timestamp: bool, header_always: bool, echo: Callable[[str], None] = click.echo
    ) -> None:
        self._with_namespace = with_namespace
        self._with_timestamp = with_timestamp
        self._header_always = header_always
        self._echo = echo
        self._layout: Layout | None = None
        self._shown: dict[Key, Row] = {}

    def print(self, rows: dict[Key, Row], now: datetime) -> None:
        """Print what is new or different in *rows*; what is missing is forgotten in silence."""
        if self._layout is None:
            self._layout = layout(list(rows.values()), now, with_namespace=self._with_namespace, with_timestamp=self._with_timestamp)
            if rows or self._header_always:
                self._echo(self._layout.header())
        for key, found in rows.items():
            if self._shown.get(key) != found:
                self._echo(self._layout.line(found, now))
        self._shown = rows


@click.group("list", cls=Group, aliases={"ro": "rollouts", "rollout": "rollouts"})
def list_group() -> None:
    """List objects, one per line."""


@list_group.command("rollouts")
@click.option("--name", default="", metavar="NAME", help="Only the rollout of this name.", shell_complete=rollout_names)
@click.option("-A", "--all-namespaces", is_flag=True, help="The rollouts of all namespaces.")
@click.option("-w", "--watch", is_flag=True, help="Add a line whenever a rollout looks different.")
@click.option("--timestamps", is_flag=True, help="Say when each line was printed.")
def list_rollouts(*, name: str, all_namespaces: bool, watch: bool, timestamps: bool) -> None:
    """List rollouts."""
    printer = Printer(with_namespace=all_namespaces, with_timestamp=timestamps, header_always=watch)

    async def once(api: Api) -> None:
        found = await api.list(ROLLOUTS, namespace=None if all_namespaces else api.namespace, into=Rollout)
        rows = rows_of(found, name)
        printer.print(rows, datetime.now(UTC))
        if not rows:
            click.echo("No resources found.", err=True)

    async def for_ever(client: Client) -> None:
        from tiphys.cli.live import following  # noqa: PLC0415 - only watching needs it

        namespace = None if all_namespaces else client.namespace
        await once(client)
        async with following(client, [(ROLLOUTS, Rollout)], namespace=namespace) as seen:
            while True:
                printer.print(rows_of(seen[ROLLOUTS], name), datetime.now(UTC))
                await seen.change()

    in_session(click.get_current_context(), for_ever if watch else once)
