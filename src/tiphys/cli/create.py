"""How do manifests become objects? (User interfaces 1.9.)"""

import os
from collections.abc import Sequence

import click

from tiphys.cli.checks import shape_findings
from tiphys.cli.get import draw_for_ever, use_colour
from tiphys.cli.kinds import CREATABLE, ROLLOUTS
from tiphys.cli.lint import read_files
from tiphys.cli.manifests import Document
from tiphys.cli.options import Connected, chosen, no_color_option
from tiphys.cli.patches import RefusedError
from tiphys.cli.session import Api, in_session
from tiphys.kube.client import Client


def problems(documents: Sequence[Document], *, namespace: str | None) -> list[str]:
    """Name everything that speaks against creating *documents*; *namespace* is the one the user asked for, if any."""
    found: list[str] = []
    for document in documents:
        where = f"{document.file}:{document.line('kind')}: document {document.number} ({document.shown})"
        kind = CREATABLE.get(document.kind)
        own = (document.manifest.get("metadata") or {}).get("namespace")
        if kind is None or document.manifest["apiVersion"] != kind.api_version:
            wanted = ", ".join(CREATABLE)
            found.append(
                f"{where}: found {document.manifest['apiVersion']} {document.kind}, wanted {ROLLOUTS.api_version} and one of {wanted}"
            )
        elif kind.namespaced and namespace and own and own != namespace:
            found.append(f'{where}: metadata.namespace: found "{own}", wanted "{namespace}" as --namespace says')
        found += map(str, shape_findings(document))
    return found


async def create_objects(api: Api, documents: Sequence[Document]) -> list[str]:
    """Create *documents* in their order, tell of each, and give their names."""
    made: list[str] = []
    for document in documents:
        kind = CREATABLE[document.kind]
        namespace = (document.manifest.get("metadata") or {}).get("namespace") or api.namespace
        created = await api.create(kind, document.manifest, namespace=namespace if kind.namespaced else None)
        made.append(created["metadata"]["name"])
        click.echo(f"{kind.kind.lower()}.{kind.group}/{made[-1]} created")
    return made


def readable(files: Sequence[str], *, namespace: str | None) -> list[Document]:
    """
    Read what is to be created.

    Raises:
        TiphysError: a file cannot be read, or an object in it cannot be created; all problems are in the text.

    """
    documents, unreadable = read_files(files)
    wrong = [*map(str, unreadable), *problems(documents, namespace=namespace)]
    if wrong:
        raise RefusedError("\n".join(wrong))
    if not documents:
        raise RefusedError(f"{', '.join(files)}: found no object, wanted at least one")
    return documents


@click.command(cls=Connected)
@click.option("-f", "--filename", "files", multiple=True, required=True, metavar="FILE", help="File with the objects; may be repeated.")
@click.argument("more", metavar="[FILE...]", nargs=-1)
@click.option("-w", "--watch", is_flag=True, help="Show the one rollout of the files afterwards, and draw it again when it changes.")
@no_color_option
def create(files: tuple[str, ...], more: tuple[str, ...], *, watch: bool, no_color: bool) -> None:
    """
    Create the rollouts, experiments and analysis objects in the FILEs.

    Nothing is created if any of them is malformed or has fields that its kind does not have.
    """
    ctx = click.get_current_context()
    documents = readable([*files, *more], namespace=chosen(ctx).get("namespace"))
    if watch and [document.kind for document in documents] != [ROLLOUTS.kind]:
        raise RefusedError("--watch: found other objects than a single Rollout, wanted one Rollout")

    async def work(client: Client) -> None:
        names = await create_objects(client, documents)
        if watch:
            await draw_for_ever(client, names[0], colour=use_colour(os.environ, no_color=no_color))

    in_session(ctx, work)
