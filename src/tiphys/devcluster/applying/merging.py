"""What becomes of an object when a configuration is laid over it, and when fields that nobody wants any more are taken out?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster.fieldsets import Fields, is_member, name_of

if TYPE_CHECKING:
    from tiphys.devcluster.shapes import Shape
    from tiphys.devcluster.wire import Json


def laid_over(live: Json, config: Json, shape: Shape) -> Json:
    """Give *config* laid over *live*, which may be changed in place: maps and lists with identities merge, all else is replaced."""
    if isinstance(config, dict) and isinstance(live, dict) and not shape.atomic:
        for key, item in config.items():
            live[key] = laid_over(live[key], item, shape.child(key)) if key in live else item
        return live
    if isinstance(config, list) and isinstance(live, list) and (shape.keys or shape.as_set):
        return _woven(live, config, shape)
    return config


def _woven(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    """Put the items of both into one list: in the order of *config*, the others where they stood relative to what both have."""
    there = [(name_of(item, shape), item) for item in live]
    names = [name_of(item, shape) for item in config]
    by_name, wanted = dict(there), set(names)
    shared = [name for name in names if name in by_name]
    out, place = [], 0
    for name, item in zip(names, config, strict=True):
        while place < len(there) and not (shared and there[place][0] == shared[0]):
            if there[place][0] not in wanted:
                out.append(there[place][1])
            place += 1
        out.append(laid_over(by_name[name], item, shape.item) if name in by_name else item)
        if shared and name == shared[0]:
            shared.pop(0)
    return out + [item for name, item in there[place:] if name not in wanted]


def without_unwanted(value: Json, last: Fields, owned: Fields, shape: Shape) -> Json:
    """
    Take out of *value*, in place, what the applier owned after its *last* apply and nobody has *owned* since.

    What is taken out goes with all that is below it, whatever filled that in. A map or list that becomes empty is null.
    """
    if isinstance(value, dict) and not shape.atomic:
        size = len(value)
        for step, below in last.items():
            key = step[2:]
            if not step.startswith("f:") or key not in value:
                continue
            if step not in owned:
                del value[key]
            elif below:
                value[key] = without_unwanted(value[key], below, owned[step], shape.child(key))
        return None if size and not value else value
    if isinstance(value, list) and value and (shape.keys or shape.as_set):
        out = []
        for item in value:
            name = name_of(item, shape)
            below, kept = last.get(name), owned.get(name)
            if below is None:
                out.append(item)
            elif not is_member(below) or (kept is not None and is_member(kept)):
                out.append(without_unwanted(item, below, kept or {}, shape.item))
        return out or None
    return value
