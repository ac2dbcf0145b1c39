"""How do people change what a rollout runs? (User interfaces 1.2 and 1.4.)"""

import click
import msgspec

from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout, WorkloadRef
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.kinds import REPLICA_SETS, ROLLOUTS, WORKLOADS
from tiphys.cli.options import Connected, Group, name_argument, rollout_names
from tiphys.cli.patches import RefusedError, with_images
from tiphys.cli.patches import undo as undo_to
from tiphys.cli.session import Api, in_session
from tiphys.kube.client import PatchKind
from tiphys.kube.errors import ConflictError
from tiphys.kube.resources import Resource

TRIES = 5
"""How often an image is set again after somebody else wrote first."""


def workload(reference: WorkloadRef) -> Resource:
    """
    Find the kind that a `workloadRef` names.

    Raises:
        RefusedError: rollouts take no template from such a kind.

    """
    kind = WORKLOADS.get(reference.kind)
    if kind is None:
        raise RefusedError(f"spec.workloadRef.kind: found {reference.kind!r}, wanted one of {', '.join(WORKLOADS)}")
    return kind


async def undo_rollout(api: Api, name: str, revision: int) -> str:
    """
    Go back to *revision* (0: the one before), and say so.

    Raises:
        RefusedError: there is no such revision.

    """
    own = await api.get(ROLLOUTS, name, namespace=api.namespace, into=dict)
    rollout = msgspec.json.decode(msgspec.json.encode(own), type=Rollout)
    kind, target, current = ROLLOUTS, name, own
    if rollout.spec.workload_ref is not None:
        kind, target = workload(rollout.spec.workload_ref), rollout.spec.workload_ref.name
        current = await api.get(kind, target, namespace=api.namespace, into=dict)
    replica_sets = await api.list(REPLICA_SETS, namespace=api.namespace, into=ReplicaSet)
    path = "/template" if kind.kind == "PodTemplate" else "/spec/template"
    found = undo_to(rollout, _at(current, path), replica_sets, revision, path=path)
    if not found.patch:
        return f"skipped rollback (current template already matches revision {found.revision})"
    await api.patch(kind, target, found.patch, namespace=api.namespace, kind=PatchKind.JSON)
    return f"rollout '{name}' undo"


async def set_images(api: Api, name: str, images: dict[str, str]) -> str:
    """
    Give containers of the rollout, or of the Deployment it refers to, other images, and say so.

    Raises:
        RefusedError: there is no such container, or the workload is no Deployment.
        ConflictError: others kept writing first.

    """
    for attempt in range(TRIES):
        try:
            return await _set_images(api, name, images)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


async def _set_images(api: Api, name: str, images: dict[str, str]) -> str:
    own = await api.get(ROLLOUTS, name, namespace=api.namespace, into=dict)
    reference = own.get("spec", {}).get("workloadRef")
    if reference is None:
        await api.update(ROLLOUTS, name, with_images(own, images), namespace=api.namespace)
        return f'rollout "{name}" image updated'
    if reference.get("kind") != "Deployment":
        raise RefusedError(f"spec.workloadRef.kind: found {reference.get('kind')!r}, wanted Deployment")
    target = reference["name"]
    deployment = await api.get(WORKLOADS["Deployment"], target, namespace=api.namespace, into=dict)
    await api.update(WORKLOADS["Deployment"], target, with_images(deployment, images), namespace=api.namespace)
    return f'deployment "{target}" image updated'


def _at(found: Manifest, path: str) -> object:
    value: object = found
    for part in path.strip("/").split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


@click.command(cls=Connected)
@name_argument
@click.option("--to-revision", type=click.IntRange(min=0), default=0, metavar="N", help="Revision to go back to; 0 is the one before.")
def undo(name: str, *, to_revision: int) -> None:
    """Go back to an earlier revision of the rollout NAME."""
    click.echo(in_session(click.get_current_context(), lambda client: undo_rollout(client, name, to_revision)))


@click.group("set", cls=Group)
def set_group() -> None:
    """Change a rollout."""


class _ImageParameter(click.ParamType[tuple[str, str]]):
    name = "container=image"

    def convert(self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        container, separator, image = value.partition("=")
        if not container or not image or not separator or "=" in image:
            self.fail(f'found "{value}", wanted CONTAINER=IMAGE', param, ctx)
        return container, image


@set_group.command("image")
@click.argument("name", shell_complete=rollout_names)
@click.argument("images", metavar="CONTAINER=IMAGE...", nargs=-1, required=True, type=_ImageParameter())
def image(name: str, images: tuple[tuple[str, str], ...]) -> None:
    """Give containers of the rollout NAME other images; `*` means every container."""
    click.echo(in_session(click.get_current_context(), lambda client: set_images(client, name, dict(images))))
