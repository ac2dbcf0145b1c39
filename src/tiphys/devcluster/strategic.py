"""What does a strategic merge patch make of a built-in object?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiphys.devcluster.wire import Json

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.shapes import ANY, Shape

_DIRECTIVE = "$patch"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"


def strategic_merge(target: dict[str, Any], patch: dict[str, Any], shape: Shape | None) -> dict[str, Any]:
    """
    Merge *patch* into *target*, which may be changed in place: maps merge, lists merge by the key their kind gives them.

    Raises:
        StatusError: 500 or 422, a list item has no merge key or a directive is unknown.

    """
    return _merged_map(target, patch, shape or ANY)


def _merged_map(target: dict[str, Any], patch: dict[str, Any], shape: Shape) -> dict[str, Any]:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return _clean({key: value for key, value in patch.items() if key != _DIRECTIVE})  # type: ignore[no-any-return]
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise StatusError(500, f"unknown patch type: {directive} in map: {go_map(patch)}", reason="")
    if _RETAIN in patch:
        target = {key: value for key, value in target.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN) or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE_PRIMITIVES):
            name = key.removeprefix(_DELETE_PRIMITIVES)
            target[name] = [item for item in target.get(name) or [] if item not in value]
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value, shape.child(key), patch.get(_ORDER + key))
    return target


def _merged(target: Json, value: Json, shape: Shape, order: list[Any] | None) -> Json:
    if isinstance(value, dict):
        return _merged_map(target if isinstance(target, dict) else {}, value, shape)
    if isinstance(value, list):
        if not isinstance(target, list):
            target = []
        if shape.patch_key:
            return _merged_items(target, value, shape, order)
        if shape.patch_merges:
            merged = target + [item for item in value if item not in target]
            return _ordered([(item, item) for item in merged], order if order is not None else value, target)
        return _clean(value)
    return value


def _merged_items(target: list[Any], patch: list[Any], shape: Shape, order: list[Any] | None) -> list[Any]:
    key = shape.patch_key
    if {_DIRECTIVE: "replace"} in patch:
        return [_clean(item) for item in patch if item != {_DIRECTIVE: "replace"}]
    result = list(target)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise StatusError(500, f"map: {go_map(item)} does not contain declared merge key: {key}", reason="")
        places = [place for place, there in enumerate(result) if there.get(key) == item[key]]
        if item.get(_DIRECTIVE) == "delete":
            result = [there for there in result if there.get(key) != item[key]]
        elif not places:
            result.append(_merged_map({}, item, shape.item))
        else:
            result[places[0]] = _merged_map(result[places[0]], item, shape.item)
    wanted = [item.get(key) for item in (order if order is not None else patch) if isinstance(item, dict)]
    return _ordered([(item.get(key), item) for item in result], wanted, [item.get(key) for item in target])


def _ordered(items: list[Any], wanted: list[Any], server: list[Any]) -> list[Any]:
    """
    Put *items* into order: those the patch names as *wanted* says, woven into the others, which keep the *server*'s order.

    All three are (name, item) or names; a named item comes as early as the server's order allows.
    """
    named = sorted((pair for pair in items if pair[0] in wanted), key=lambda pair: wanted.index(pair[0]))
    others = [pair for pair in items if pair[0] not in wanted]
    out = []
    while named and others:
        one, other = named[0][0], others[0][0]
        known = one in server and other in server
        first = others if known and server.index(other) < server.index(one) else named
        out.append(first.pop(0)[1])
    return out + [item for _, item in (*named, *others)]


def _clean(value: Json) -> Json:
    """Drop nulls and directives from a value that is taken as a whole."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None and not key.startswith("$")}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def go_map(value: Json) -> str:
    """Write a map as Go prints it."""
    if not isinstance(value, dict):
        return str(value)
    return "map[" + " ".join(f"{key}:{go_map(item)}" for key, item in sorted(value.items())) + "]"
