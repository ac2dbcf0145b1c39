"""How is somebody else's object read without trusting its shape, and changed without touching the rest?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest

_SHOWN: Final = 60


def mapping(value: object, at: str) -> Mapping[str, Any]:
    """
    Take *value*, found at the path *at*, as a map; null counts as an empty one.

    Raises:
        SpecError: it is something else.

    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SpecError(field=at, found=_shown(value), wanted="must be a map")
    return value


def listing(value: object, at: str) -> Sequence[Any]:
    """
    Take *value*, found at the path *at*, as a list; null counts as an empty one.

    Raises:
        SpecError: it is something else.

    """
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise SpecError(field=at, found=_shown(value), wanted="must be a list")
    return value


def entries(value: object, at: str) -> Sequence[Mapping[str, Any]]:
    """
    Take *value*, found at the path *at*, as a list of maps.

    Raises:
        SpecError: it is no list, or one of its items is no map.

    """
    found = listing(value, at)
    for index, item in enumerate(found):
        if not isinstance(item, dict):
            raise SpecError(field=f"{at}[{index}]", found=_shown(item), wanted="must be a map")
    return found


def text(value: object, at: str) -> str:
    """
    Take *value*, found at the path *at*, as a text; null counts as an empty one.

    Raises:
        SpecError: it is something else.

    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SpecError(field=at, found=_shown(value), wanted="must be a text")
    return value


def count(value: object, at: str) -> int:
    """
    Take *value*, found at the path *at*, as a whole number, not negative.

    Raises:
        SpecError: it is something else.

    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(field=at, found=_shown(value), wanted="must be a whole number, at least 0")
    return value


def annotations(manifest: Manifest) -> Mapping[str, Any]:
    """
    Give the annotations of *manifest*.

    Raises:
        SpecError: metadata or annotations are no maps.

    """
    return mapping(mapping(manifest.get("metadata"), "metadata").get("annotations"), "metadata.annotations")


def with_annotation(manifest: Manifest, key: str, value: str) -> Manifest:
    """Give *manifest* with the annotation *key* set to *value*; the empty text takes it away. The rest is shared, not copied."""
    found = annotations(manifest)
    if found.get(key, "") == value:
        return manifest
    wanted = {name: text for name, text in found.items() if name != key}
    if value:
        wanted[key] = value
    metadata = {name: part for name, part in mapping(manifest.get("metadata"), "metadata").items() if name != "annotations"}
    return {**manifest, "metadata": {**metadata, "annotations": wanted} if wanted else metadata}


def _shown(value: object) -> object:
    if value is None:
        return "null"
    shown = str(value)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
