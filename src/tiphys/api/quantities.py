"""How is a resource quantity spelled canonically? (Reference pod-template-json 3.)"""

import re
from decimal import ROUND_UP, Context, Decimal
from typing import Final

_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIXES: Final = {power: suffix for suffix, power in _DECIMAL.items()}
_QUANTITY: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]+))?")
_SMALLEST_POWER: Final = -9
_LARGEST: Final = 2**63 - 1
_LARGEST_EXPONENT: Final = 1000
_DIGITS_KEPT: Final = 18
_EXACT: Final = Context(prec=4000)


def canonical(text: str) -> str:
    """
    Spell *text* as the API server does.

    Raises:
        ValueError: *text* is no quantity.

    """
    sign, whole, decimals, suffix, exponent = _parts(text)
    if suffix in _BINARY:
        return _binary(_value(text), negative=sign == "-")
    power = _DECIMAL[suffix] if exponent is None else int(exponent)
    if _kept_as_typed(whole, decimals, power):
        return text
    return _decimal(_value(text), with_exponent=exponent is not None)


def amount(text: str) -> str:
    """
    Give the plain number that *text* stands for: equal for all spellings of it.

    Raises:
        ValueError: *text* is no quantity.

    """
    return f"{_value(text).normalize(_EXACT):f}"


def _parts(text: str) -> tuple[str, str, str, str, str | None]:
    match = _QUANTITY.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f'"{text}" is no quantity such as 100m, 2 or 1Gi')
    if match[5] is not None and abs(int(match[5])) > _LARGEST_EXPONENT:
        raise ValueError(f'"{text}" is no quantity that anybody can count')
    return match[1], match[2].lstrip("0") or "0", match[3] or "", match[4] or "", match[5]


def _value(text: str) -> Decimal:
    """Give the exact value, rounded away from zero to a whole nano, and cut at the largest number the API server keeps."""
    sign, whole, decimals, suffix, exponent = _parts(text)
    number = Decimal(f"{whole}.{decimals or '0'}")
    if suffix in _BINARY:
        number = _EXACT.multiply(number, Decimal(1024 ** _BINARY[suffix]))
    else:
        number = number.scaleb(_DECIMAL[suffix] if exponent is None else int(exponent), _EXACT)
    number = min(number.quantize(Decimal(1).scaleb(_SMALLEST_POWER), ROUND_UP, _EXACT), Decimal(_LARGEST))
    return -number if sign == "-" else number


def _kept_as_typed(whole: str, decimals: str, power: int) -> bool:
    """Tell whether the API server keeps the typed text: a shortcut of its parser that others can see."""
    scale = power - len(decimals)
    digits = whole + decimals
    if len(digits) > _DIGITS_KEPT or scale < _SMALLEST_POWER:
        return False
    return scale % 3 == 0 and not digits.endswith("000") and not digits.startswith("0")


def _binary(value: Decimal, *, negative: bool) -> str:
    number = abs(value)
    if number < 1024 or number != number.to_integral_value():
        return _decimal(value, with_exponent=False)
    whole, power = int(number), 0
    while whole % 1024 == 0 and power < len(_BINARY):
        whole, power = whole // 1024, power + 1
    suffix = next((name for name, step in _BINARY.items() if step == power), "")
    return f"{'-' if negative else ''}{whole}{suffix}"


def _decimal(value: Decimal, *, with_exponent: bool) -> str:
    if value == 0:
        return "0"
    nanos, power = int(value.scaleb(-_SMALLEST_POWER, _EXACT)), _SMALLEST_POWER
    while nanos % 1000 == 0:
        nanos, power = nanos // 1000, power + 3
    if not with_exponent:
        return f"{nanos}{_SUFFIXES[power]}"
    return f"{nanos}e{power}" if power else str(nanos)
