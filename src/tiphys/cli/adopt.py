"""May a controller of ours take this cluster over, and what would it write first?"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from tiphys.api.meta import Manifest
from tiphys.cli.manifests import read_file
from tiphys.cli.options import Connected, chosen
from tiphys.cli.patches import RefusedError
from tiphys.cli.session import in_session

if TYPE_CHECKING:
    from tiphys.controller.rehearsal import Rehearsal
    from tiphys.kube.client import Client

_SYMBOLS: Final = {"nothing": "✔", "note": "✔", "step": "•", "stop": "✖"}
_WORDS: Final = {
    "nothing": "nothing to write",
    "note": "only status and annotations",
    "step": "goes on with its present step",
    "stop": "must be looked at first",
}


@click.command(cls=Connected)
@click.option("--check", is_flag=True, help="Tell what the first pass of a controller would write; nothing is written.")
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE", help="Dump of objects to look at instead of a cluster; may be repeated."
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Look at the rollouts of all namespaces.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the bodies of the writes.")
def adopt(*, check: bool, files: tuple[str, ...], all_namespaces: bool, as_json: bool) -> None:
    """
    Prove that a cluster can be taken over from another controller.

    The controller's own first pass is made on copies of the objects. It should write nothing, or exactly what the present step asks
    for; the command fails if it would create a ReplicaSet, restart a pod, or refuse a spec. To take over, stop the other
    controller and start `tiphys controller`.
    """
    if not check:
        raise click.UsageError("nothing is adopted by a command: use --check, then start the controller")
    given = chosen(click.get_current_context())
    found = (
        _from_files(files)
        if files
        else in_session(click.get_current_context(), lambda client: _from_cluster(client, everywhere=all_namespaces))
    )
    wanted = None if files or all_namespaces else given.get("namespace")
    rehearsals = [each for each in asyncio.run(_rehearse(found)) if wanted in {None, each.key.namespace}]
    if not rehearsals:
        raise RefusedError("no Rollout found")
    _print(rehearsals, as_json=as_json)
    stopped = [f"{each.key.namespace}/{each.key.name}" for each in rehearsals if each.weight.name == "STOP"]
    if stopped:
        raise RefusedError(f"not to be taken over like this: {', '.join(stopped)}")


async def _rehearse(found: Sequence[Manifest]) -> "Sequence[Rehearsal]":
    from tiphys.controller.rehearsal import rehearse  # noqa: PLC0415 - heavy
    from tiphys.traffic.settings import Settings  # noqa: PLC0415 - heavy

    return await rehearse(found, now=datetime.now(UTC), routers=Settings())


def _from_files(files: Iterable[str]) -> Sequence[Manifest]:
    found: list[Manifest] = []
    for name in files:
        documents, errors = read_file(name)
        if errors:
            raise errors[0]
        found += [item for document in documents for item in _items(document.manifest)]
    return found


def _items(manifest: Manifest) -> Sequence[Manifest]:
    """Give the objects of a `List`, as `kubectl get -o yaml` writes them, or the one object itself."""
    if not str(manifest.get("kind", "")).endswith("List") or not isinstance(manifest.get("items"), list):
        return [manifest]
    kind = str(manifest["kind"]).removesuffix("List")
    made = {"apiVersion": manifest.get("apiVersion"), "kind": kind} if kind else {}
    return [{**made, **item} for item in manifest["items"]]


async def _from_cluster(client: "Client", *, everywhere: bool) -> Sequence[Manifest]:
    """Read everything that the passes need, kind by kind."""
    from tiphys.cli.kinds import ROLLOUTS  # noqa: PLC0415 - with the rest
    from tiphys.controller.kinds import Kinds  # noqa: PLC0415 - heavy
    from tiphys.controller.rehearsal import kinds_needed  # noqa: PLC0415 - heavy
    from tiphys.kube.discovery import discover  # noqa: PLC0415 - only here
    from tiphys.traffic.settings import Settings  # noqa: PLC0415 - heavy

    space = None if everywhere else client.namespace
    routers = Settings()
    rollouts = await client.list(ROLLOUTS, namespace=space)
    needed = kinds_needed((_typed(each, "argoproj.io/v1alpha1", "Rollout") for each in rollouts), routers)
    served = await discover(client)
    kinds = Kinds(routers.versions)
    found: list[Manifest] = []
    for kind in sorted(needed | {("", "Pod")}):
        resource = kinds.choose(kind, (each.resource for each in served.resources))
        if resource is not None:
            found += [_typed(each, resource.api_version, resource.kind) for each in await client.list(resource, namespace=space)]
    return found


def _typed(manifest: Manifest, api_version: str, kind: str) -> Manifest:
    """Give an item of a list its type: lists of built-in kinds leave it out."""
    return {"apiVersion": api_version, "kind": kind, **manifest}


def _print(rehearsals: "Sequence[Rehearsal]", *, as_json: bool) -> None:
    from tiphys.controller.rehearsal import shown  # noqa: PLC0415 - heavy

    if as_json:
        found: list[Any] = [shown(each) for each in rehearsals]
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for each in rehearsals:
        verdict = each.weight.name.lower()
        click.echo(f"{_SYMBOLS[verdict]} {each.key.namespace}/{each.key.name}: {_WORDS[verdict]}")
        for reason in each.reasons:
            click.echo(f"    {reason}")
        for write in each.writes:
            click.echo(f"    would {write.verb} {write.ref}: {write.what}")
        for wait in each.waits:
            click.echo(f"    waits: {wait}")
