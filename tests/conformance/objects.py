"""What of an object is its owner's, where do two objects differ, and how is one edited?"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.rows import Edit
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL, MANAGED_BY


def not_ours(manifest: Mapping[str, Any], own_annotations: Sequence[str]) -> Manifest:
    """Give what of an object belongs to its owner: no status, no bookkeeping of the API server, no hash, mark or annotation of ours."""
    found: Manifest = copy.deepcopy({key: value for key, value in manifest.items() if key != "status"})
    metadata = found["metadata"]
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key not in {MANAGED_BY, *own_annotations}}
    found["metadata"] = {"name": metadata["name"], "labels": metadata.get("labels", {}), "annotations": annotations}
    kept: Manifest = without(found, HASH_LABEL)
    return kept


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - any JSON values
    """Name the places in which two values differ, as deep inside as possible."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted({*wanted, *found}):
            yield from differences(wanted.get(key), found.get(key), f"{path}.{key}" if path else key)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif wanted != found:
        yield path, wanted, found


def without(value: Any, *keys: str) -> Any:  # noqa: ANN401 - any JSON value
    """Leave *keys* out, however deep they stand."""
    if isinstance(value, list):
        return [without(each, *keys) for each in value]
    if isinstance(value, dict):
        return {name: without(each, *keys) for name, each in value.items() if name not in keys}
    return value


def put(manifest: Manifest, edit: Edit) -> None:
    """Change one field."""
    place: Any = manifest
    for segment in edit.path[:-1]:
        place = next(each for each in place if each.get("name") == segment[1:-1]) if segment.startswith("[") else place[segment]
    place[edit.path[-1]] = edit.value
