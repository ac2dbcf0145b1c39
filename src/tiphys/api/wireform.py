"""What is the one JSON text of a pod template or of canary steps? (Reference pod-template-json 2 to 5.)"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from json.encoder import encode_basestring
from typing import Any, Final

import msgspec

from tiphys.api import quantities
from tiphys.api.errors import SpecError
from tiphys.api.podfields import POD_FIELDS, STEP_FIELDS

POD_TEMPLATE: Final = "PodTemplateSpec"
STEP: Final = "CanaryStep"
_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_UNSAFE: Final = re.compile("[<>&\u2028\u2029]")
_LONGEST_SHOWN: Final = 80
_SCALARS: Final = {"", "quantity", "intstr", "map", "qmap"}


class NumberText(str):
    """A number with a fraction or an exponent, as it stood in the JSON text."""

    __slots__ = ()


_DECODER: Final = msgspec.json.Decoder(float_hook=NumberText)


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a type, as the table has it.

    *type* is a type's name, a word for how to write the value, or empty; *many* is `[]` for a list, `{}` for a map of that type;
    *nothing* is what is written where the value is missing, empty for an object built from its own rules.
    """

    name: str
    always: bool
    unless_empty: bool
    type: str
    many: str
    nothing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to write: the field table, and how quantities are spelled."""

    types: Mapping[str, tuple[Field, ...]]
    spell: Callable[[str], str]

    def write(self, type_name: str, value: object, *, field: str) -> str:
        """
        Write *value*, which stands at *field*, as the type *type_name*.

        Raises:
            SpecError: something in *value* has another JSON type than the type's fields want.

        """
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise SpecError(field=field, found=shown(value), wanted="must be an object")
        written = []
        for known in self.types[type_name]:
            found = value.get(known.name)
            if found is None:
                if known.always:
                    written.append(f'"{known.name}":{known.nothing or self.write(known.type, None, field=field)}')
            elif known.always or not (known.unless_empty and _empty(found)):
                written.append(f'"{known.name}":{self._write_field(known, found, field=f"{field}.{known.name}")}')
        return "{" + ",".join(written) + "}"

    def _write_field(self, known: Field, found: Any, *, field: str) -> str:  # noqa: ANN401 - JSON of any type
        if known.many == "[]":
            if not isinstance(found, list):
                raise SpecError(field=field, found=shown(found), wanted="must be a list")
            return f"[{','.join(self.write(known.type, item, field=f'{field}[{at}]') for at, item in enumerate(found))}]"
        if known.many == "{}" or known.type in {"map", "qmap"}:
            return self._write_map(known, found, field=field)
        if known.type == "quantity":
            return self._quantity(found, field=field)
        return compact(found) if known.type in _SCALARS else self.write(known.type, found, field=field)

    def _write_map(self, known: Field, found: Any, *, field: str) -> str:  # noqa: ANN401 - JSON of any type
        if not isinstance(found, dict):
            raise SpecError(field=field, found=shown(found), wanted="must be a map")
        parts = []
        for key in sorted(found):
            at = f"{field}.{key}"
            match known.type:
                case "map":
                    text = compact(found[key])
                case "qmap":
                    text = self._quantity(found[key], field=at)
                case _:
                    text = self.write(known.type, found[key], field=at)
            parts.append(f"{_text(key)}:{text}")
        return "{" + ",".join(parts) + "}"

    def _quantity(self, found: object, *, field: str) -> str:
        try:
            return _text(self.spell("0" if found is None else str(found).strip()))
        except ValueError as error:
            raise SpecError(field=field, found=shown(found), wanted="must be a quantity such as 100m, 2 or 1Gi") from error


@cache
def since_1_9() -> Form:
    """Give the form that controllers since 1.9 hash."""
    return Form(types=_table(POD_FIELDS + STEP_FIELDS), spell=quantities.canonical)


@cache
def up_to_1_8() -> Form:
    """Give the form that controllers from 1.2 to 1.8 hash: every ObjectMeta has a creation time, even without one."""
    fields = POD_FIELDS.replace("creationTimestamp?", "creationTimestamp!=null")
    return Form(types=_table(fields + STEP_FIELDS), spell=quantities.canonical)


@cache
def by_value() -> Form:
    """Give the form for comparing: quantities are equal where their amounts are."""
    return Form(types=since_1_9().types, spell=quantities.amount)


def read(body: bytes, *, field: str) -> Any:  # noqa: ANN401 - JSON of any type
    """
    Read JSON, keeping the spelling of numbers that are not whole.

    Raises:
        SpecError: *body* is no JSON.

    """
    if not body:
        return None
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError as error:
        raise SpecError(field=field, found=shown(body.decode(errors="replace")), wanted=f"must be JSON ({error})") from error


def compact(value: object) -> str:
    """Write any JSON *value* without spaces, keys sorted."""
    match value:
        case NumberText():
            return str(value)
        case str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case dict():
            return "{" + ",".join(f"{_text(key)}:{compact(value[key])}" for key in sorted(value)) + "}"
        case list():
            return f"[{','.join(map(compact, value))}]"
        case _:
            return str(value)


def _text(value: str) -> str:
    text = encode_basestring(value)
    return text.translate(_ESCAPES) if _UNSAFE.search(text) else text


def _empty(value: object) -> bool:
    return value is False or value in (0, "") or value in ([], {})


def shown(value: object) -> object:
    """Give what an error shows of any JSON *value*: numbers and flags as they are, all else as text with an end."""
    if isinstance(value, NumberText):
        return float(value)
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else compact(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _table(source: str) -> dict[str, tuple[Field, ...]]:
    words: dict[str, list[str]] = {}
    for line in source.strip().splitlines():
        if line.startswith(" "):
            words[next(reversed(words))] += line.split()
        elif line:
            name, _, fields = line.partition(": ")
            words[name] = fields.split()
    return {name: tuple(_fields(words, name)) for name in words}


def _fields(words: Mapping[str, list[str]], name: str) -> list[Field]:
    found: list[Field] = []
    for word in words[name]:
        if word.startswith("+"):
            found += _fields(words, word[1:])
        else:
            found.append(_field(word))
    return found


def _field(word: str) -> Field:
    name = word.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0[]{}:=")
    rest, _, nothing = word[len(name) :].partition("=")
    type_name = rest.removeprefix(":").removesuffix("[]").removesuffix("{}")
    many = rest[-2:] if rest.endswith(("[]", "{}")) else ""
    if not nothing:
        nothing = "null" if many else {"": '""', "intstr": "0", "quantity": '"0"', "map": "null", "qmap": "null"}.get(type_name, "")
    return Field(name[:-1], name.endswith("!"), name.endswith("?"), type_name, many, nothing)
