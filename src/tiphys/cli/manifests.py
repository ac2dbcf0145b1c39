"""Which objects are in a file, and where in it does each field stand?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from tiphys.api.errors import TiphysError
from tiphys.api.meta import Manifest
from tiphys.cli.paths import parts

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML was built without libyaml: ten times slower, otherwise the same
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_PLAIN_INT: Final = "tag:yaml.org,2002:int"
_PLAIN_FLOAT: Final = "tag:yaml.org,2002:float"
_MERGE: Final = "tag:yaml.org,2002:merge"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_INT: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)$")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$|[-+]?[0-9]+[eE][-+]?[0-9]+$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)


class FileError(TiphysError):
    """
    A file cannot be read as Kubernetes objects; the text names the file, and line and column where there are some.

    *number* is that of the document, 0 where no document can be told.
    """

    def __init__(self, text: str, *, file: str, number: int = 0) -> None:
        self.file = file
        self.number = number
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    One object of a file.

    *number* counts the documents of the file from 1; *body* is the object as JSON, *node* the tree it was made from, which knows lines.
    """

    file: str
    number: int
    manifest: Manifest
    body: bytes
    node: yaml.Node

    @property
    def kind(self) -> str:
        """The object's kind."""
        kind: str = self.manifest["kind"]
        return kind

    @property
    def shown(self) -> str:
        """The kind and, as far as they are given, namespace and name."""
        metadata = self.manifest.get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        place = "/".join(str(named[key]) for key in ("namespace", "name") if named.get(key))
        return f"{self.kind} {place}" if place else self.kind

    def line(self, field: str) -> int:
        """Give the line, from 1, of *field* or of the nearest thing above it that is there."""
        return _line(self.node, field)


def read_file(name: str) -> tuple[list[Document], list[FileError]]:
    """Give the objects in the file *name*, and what is wrong with what is no object; after malformed YAML nothing more is found."""
    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        return [], [FileError(f"{name}: {(error.strerror or 'cannot be read').lower()}", file=name)]
    except UnicodeDecodeError as error:
        return [], [FileError(f"{name}: found a byte that is no UTF-8 at offset {error.start}, wanted text", file=name)]
    return read_text(text, file=name)


def read_text(text: str, *, file: str) -> tuple[list[Document], list[FileError]]:
    """Do the same with the content of a file."""
    found: list[Document] = []
    wrong: list[FileError] = []
    number = 0
    try:
        for node, value in _values(text):
            number += 1
            problem = _no_object(value)
            if value is not None and problem:
                wrong.append(FileError(f"{file}:{node.start_mark.line + 1}: document {number}: {problem}", file=file, number=number))
            elif value is not None:
                found.append(Document(file=file, number=number, manifest=value, body=msgspec.json.encode(value), node=node))
    except (yaml.YAMLError, RecursionError, OverflowError, TypeError, ValueError) as error:
        wrong.append(FileError(_malformed(error, file), file=file, number=number + 1))
    return found, wrong


def _values(text: str) -> Iterator[tuple[yaml.Node, Any]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield node, loader.construct_document(node)
    finally:
        loader.dispose()


def _no_object(value: object) -> str:
    if not isinstance(value, dict):
        return f"found {_type_word(value)}, wanted a Kubernetes object"
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            return f"{field}: Required value: must say which Kubernetes object this is"
    return ""


def _type_word(value: object) -> str:
    words = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return words.get(type(value), type(value).__name__)


def _malformed(error: Exception, file: str) -> str:
    match error:
        case yaml.MarkedYAMLError():
            mark = error.problem_mark or error.context_mark
            place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
            words = [error.problem or error.context] + ([f"({error.context})"] if error.problem and error.context else [])
            return f"{place}: malformed YAML: {' '.join(filter(None, words))}"
        case RecursionError():
            return f"{file}: found values nested without end, wanted a finite object"
        case yaml.YAMLError():
            return f"{file}: malformed YAML: {' '.join(str(error).split())}"
        case _:
            return f"{file}: found a value that JSON cannot hold ({error})"


def _line(node: yaml.Node, field: str) -> int:
    line = node.start_mark.line + 1
    for part in parts(field):
        below = _below(node, part)
        if below is None:
            break
        line, node = below
    return line


def _below(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return (node.value[part].start_mark.line + 1, node.value[part]) if part < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if key.value == str(part):
            return key.start_mark.line + 1, value
        # Paths of strategy fields leave out which strategy it is.
        if key.value in {"canary", "blueGreen"}:
            below = _below(value, part)
            if below is not None:
                return below
    return None


class _Loader(_Base):
    """
    YAML as Kubernetes reads it.

    Times stay text, `12:30` is no number, keys are text, and no key may stand twice in one map.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build a map, and refuse a key that is there already."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f'found the key "{key.value}" twice', key.start_mark)
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return {_key(key): value for key, value in found.items()}


def _key(key: object) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return key if isinstance(key, str) else str(key)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_TIMESTAMP, _PLAIN_INT, _PLAIN_FLOAT}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_PLAIN_INT, _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_PLAIN_FLOAT, _FLOAT, list("-+0123456789."))
