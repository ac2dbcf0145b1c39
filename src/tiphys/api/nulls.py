"""What does a text of JSON say without its nulls? In the API a null means the same as a missing field."""

from typing import Any

from tiphys.api import wireform
from tiphys.api.errors import SpecError


def without_nulls(body: bytes) -> bytes | None:
    """
    Give the object *body* without the fields whose value is null; nothing where it has none, or is no JSON.

    Numbers keep their spelling. A null in a list stays: there it is an item.
    """
    try:
        spelled = wireform.read(body, field="")
    except SpecError:  # it is no JSON further on
        return None
    bare = _bare(spelled)
    return None if bare == spelled else wireform.compact(bare).encode()


def _bare(value: Any) -> Any:  # noqa: ANN401 - JSON of any type
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value
