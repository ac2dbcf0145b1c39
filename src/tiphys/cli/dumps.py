"""Which objects are in a dump that `kubectl get` wrote: as YAML or JSON, one object, a `List`, or many documents?"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest
from tiphys.cli.manifests import read_file, read_text

STANDARD_INPUT: Final = "-"


class DumpError(TiphysError):
    """What is in a dump cannot be taken for objects of a cluster."""


def read_dumps(names: Iterable[str]) -> Sequence[Manifest]:
    """
    Give the objects of all dumps; `-` is standard input.

    Raises:
        TiphysError: a file cannot be read, or holds what no API server can have.

    """
    return [each for name in names for each in _read(name)]


def _read(name: str) -> Sequence[Manifest]:
    file = "standard input" if name == STANDARD_INPUT else name
    text = sys.stdin.read() if name == STANDARD_INPUT else None
    found = [item for where, manifest in _documents(file, text) for item in items(manifest, where=where)]
    if not found:
        raise DumpError(f"{file}: found no object, wanted what `kubectl get ... -o yaml` prints")
    return found


def _documents(file: str, text: str | None) -> Sequence[tuple[str, Manifest]]:
    """Give the documents of a file, or of a *text* that came otherwise, with where each of them is."""
    if text is None and Path(file).suffix == ".json":
        text = Path(file).read_text(encoding="utf-8", errors="replace") if Path(file).is_file() else None
    if text is not None and text.lstrip().startswith("{"):
        try:
            # YAML could read it as well, only so much slower that it is felt with a whole cluster.
            return [(f"{file}: document 1", msgspec.json.decode(text, type=dict))]
        except msgspec.MsgspecError:
            pass  # flow-style YAML begins like this, too
    documents, errors = read_file(file) if text is None else read_text(text, file=file)
    if errors:
        raise errors[0]
    return [(f"{file}: document {document.number}", document.manifest) for document in documents]


def items(manifest: Manifest, *, where: str) -> Sequence[Manifest]:
    """
    Give the objects of a `List`, as `kubectl get` writes them, or the one object itself.

    Raises:
        DumpError: one of them has no name or no kind.

    """
    listed = manifest.get("items") if str(manifest.get("kind", "")).endswith("List") else None
    if not isinstance(listed, list):
        return [_checked(manifest, where)]
    kind = str(manifest["kind"]).removesuffix("List")
    # Lists of one kind, as API servers answer them, leave the type out of their items.
    made = {"apiVersion": manifest.get("apiVersion"), "kind": kind} if kind else {}
    return [_checked({**made, **_mapping(item, f"{where}: items[{at}]")}, f"{where}: items[{at}]") for at, item in enumerate(listed)]


def _mapping(value: Any, where: str) -> Manifest:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        raise DumpError(f"{where}: found no object, wanted one")
    return value


def _checked(manifest: Manifest, where: str) -> Manifest:
    metadata = _mapping(manifest.get("metadata"), f"{where}: metadata")
    for field, value in (
        ("metadata.name", metadata.get("name")),
        ("kind", manifest.get("kind")),
        ("apiVersion", manifest.get("apiVersion")),
    ):
        if not isinstance(value, str) or not value:
            raise DumpError(f"{where}: {field}: found {msgspec.json.encode(value).decode()}, wanted text: is this a dump of a cluster?")
    return manifest
