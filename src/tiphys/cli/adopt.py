"""May a controller of ours take this cluster over, and what would it write first?"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.cli.deciding import deciding_options, partners, router_settings
from tiphys.cli.dumps import read_dumps
from tiphys.cli.labels import wanted_labels
from tiphys.cli.options import Connected, chosen
from tiphys.cli.patches import RefusedError
from tiphys.cli.session import in_session

if TYPE_CHECKING:
    from tiphys.controller.verdicts import Rehearsal
    from tiphys.kube.client import Client

_ROLLOUT = ("argoproj.io/v1alpha1", "Rollout")


@click.command(cls=Connected)
@click.option("--check", is_flag=True, help="Tell what the first pass of a controller would write; nothing is written.")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help="Dump of objects (YAML or JSON; - reads standard input) to look at instead of a cluster; may be repeated.",
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Look at the rollouts of all namespaces.")
@click.option(
    "-l", "--selector", default="", metavar="LABELS", help="Look only at rollouts with these labels, such as team=shop,tier!=test."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the bodies of the writes.")
@deciding_options
def adopt(*, check: bool, files: tuple[str, ...], all_namespaces: bool, selector: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - one for each option of the controller
    """
    Prove that a cluster can be taken over from another controller.

    The controller's own first pass is made on copies of the objects, with the options that the controller will get. It should write
    nothing, or exactly what is under way. To take over, stop the other controller and start `tiphys controller`.

    Ends with 0 if every rollout can be taken over; with 1 if one would see a new ReplicaSet, is refused or lacks objects, or if
    nothing could be checked; with 2 for wrong arguments.
    """
    if not check:
        raise click.UsageError("nothing is adopted by a command: use --check, then start the controller")
    context = click.get_current_context()
    labels = wanted_labels(selector)
    absent: Sequence[str] = ()
    if files:
        found = in_space(read_dumps(files), chosen(context).get("namespace"), everywhere=all_namespaces)
    else:
        found, absent = in_session(context, lambda client: from_cluster(client, options, everywhere=all_namespaces))
    others = [each for each in found if _is_rollout(each) and not _is_ours(each, options["instance_id"])]
    left_out = [each for each in found if _is_rollout(each) and not labels.match(each["metadata"].get("labels") or {})]
    with _logged(chosen(context).get("loglevel", "error")):
        rehearsals = asyncio.run(rehearsed([each for each in found if each not in others and each not in left_out], options))
    if not rehearsals:
        raise RefusedError("no Rollout found" + (f": {len(others)} are of another instance id" if others else ""))
    _print(rehearsals, as_json=as_json)
    for line in (*absent, *_remarks(rehearsals, others)):
        click.echo(f"Note: {line}", err=True)
    stopped = [f"{each.key.namespace}/{each.key.name}" for each in rehearsals if each.weight.name == "STOP"]
    if stopped:
        raise RefusedError(f"not to be taken over like this: {', '.join(stopped)}")


def _is_rollout(manifest: Manifest) -> bool:
    return manifest.get("kind") == "Rollout" and str(manifest.get("apiVersion", "")).startswith("argoproj.io/")


def _is_ours(manifest: Manifest, instance_id: str) -> bool:
    """Tell whether a controller with *instance_id* works on a Rollout: without one, on those that lack the label."""
    label = (manifest["metadata"].get("labels") or {}).get(names.INSTANCE_ID_LABEL)
    return label == instance_id if instance_id else label is None


def in_space(found: Sequence[Manifest], space: str | None, *, everywhere: bool) -> Sequence[Manifest]:
    """Leave out the Rollouts of other namespaces than *space*, if one was asked for."""
    if space is None or everywhere:
        return found
    return [each for each in found if not _is_rollout(each) or each["metadata"].get("namespace", space) == space]


@contextmanager
def _logged(level: str) -> Iterator[None]:
    """Let what the pass logs go to standard error, from *level* on: what it means for a take-over is among the reasons."""
    import structlog  # noqa: PLC0415 - heavy

    from tiphys.controller.logs import configure_logs  # noqa: PLC0415 - heavy

    before = structlog.get_config()
    configure_logs(level=level, form="text", quiet=lambda: False)
    try:
        yield
    finally:
        structlog.configure(**before)


async def rehearsed(found: Sequence[Manifest], options: Mapping[str, Any]) -> "Sequence[Rehearsal]":
    """Make the first pass over every Rollout among *found*, on copies, as a controller with *options* would."""
    from tiphys.controller.rehearsal import Choices, rehearse  # noqa: PLC0415 - heavy
    from tiphys.plugins.client import HttpRouter  # noqa: PLC0415 - heavy

    outside = {each.name: HttpRouter(each) for each in partners(options)}
    try:
        choices = Choices(routers=router_settings(options), probes=options["probes"], outside=outside)
        return await rehearse(found, now=datetime.now(UTC), choices=choices)
    finally:
        for router in outside.values():
            await router.close()


async def from_cluster(client: "Client", options: Mapping[str, Any], *, everywhere: bool) -> tuple[Sequence[Manifest], Sequence[str]]:
    """Read everything that the passes need, kind by kind, and say which kinds the server does not serve."""
    from tiphys.cli.kinds import ROLLOUTS  # noqa: PLC0415 - with the rest
    from tiphys.controller.kinds import Kinds  # noqa: PLC0415 - heavy
    from tiphys.controller.rehearsal import Choices, needed  # noqa: PLC0415 - heavy
    from tiphys.kube.discovery import discover  # noqa: PLC0415 - only here

    space = None if everywhere else client.namespace
    routers = router_settings(options)
    rollouts = [_typed(each, *_ROLLOUT) for each in await client.list(ROLLOUTS, namespace=space)]
    served = await discover(client)
    kinds = Kinds(routers.versions)
    found: list[Manifest] = list(rollouts)
    absent: list[str] = []
    for kind, spaces in sorted(needed(rollouts, Choices(routers=routers)).items()):
        resource = kinds.choose(kind, (each.resource for each in served.resources))
        if resource is None:
            absent.append(f"the API server does not serve {kind[1]} of {kind[0] or 'its core'}, which a Rollout names")
            continue
        for one in [None] if everywhere else sorted(spaces):
            found += [_typed(each, resource.api_version, resource.kind) for each in await client.list(resource, namespace=one)]
    return found, absent


def _typed(manifest: Manifest, api_version: str, kind: str) -> Manifest:
    """Give an item of a list its type: lists of built-in kinds leave it out."""
    return {"apiVersion": api_version, "kind": kind, **manifest}


def _remarks(rehearsals: "Sequence[Rehearsal]", others: Sequence[Manifest]) -> Sequence[str]:
    lacking = sorted({kind for each in rehearsals for kind in each.missing})
    empty = sorted({kind for each in rehearsals for kind in each.empty})
    return [
        *([f"no {', no '.join(lacking)} among the objects: they do not show the whole cluster"] if lacking else []),
        *([f"no {', no '.join(empty)} among the objects: right only if the cluster has none"] if empty else []),
        *([f"{len(others)} rollouts are of another instance id, and left alone"] if others else []),
    ]


def _print(rehearsals: "Sequence[Rehearsal]", *, as_json: bool) -> None:
    if as_json:
        from tiphys.controller.verdicts import shown  # noqa: PLC0415 - heavy

        click.echo(msgspec.json.format(msgspec.json.encode([shown(each) for each in rehearsals]), indent=2))
        return
    from tiphys.cli.adoptiontable import told  # noqa: PLC0415 - heavy

    for line in told(rehearsals, colour=sys.stdout.isatty()):
        click.echo(line)
