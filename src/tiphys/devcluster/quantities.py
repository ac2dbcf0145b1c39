"""How is an amount of a resource written, canonically?"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.devcluster.wire import Json

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BY_POWER = {power: letter for letter, power in _DECIMAL.items()}
_EXACT = Context(prec=80)  # enough for the largest suffix down to the smallest
_LONGEST = 30  # digits, or power of ten, of an amount that still makes sense
RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def parsed(text: str) -> Decimal | None:
    """Give the amount that *text* means, or None where it means none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    number, suffix = Decimal(found[1]), found[2] or ""
    if len(found[1]) > _LONGEST or (suffix[1:] and suffix[0] in "eE" and suffix not in _BINARY and abs(int(suffix[1:])) > _LONGEST):
        return None
    with localcontext(_EXACT):
        if suffix in _BINARY:
            return number * Decimal(1024 ** _BINARY[suffix])
        return number.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))


def canonical(value: Json, *, smallest: int = -9) -> str | None:
    """
    Write a quantity the way the API server does: no fraction, the largest suffix of the same family.

    *smallest* is the power of ten below which amounts are rounded up. None means that *value* is no quantity.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    amount = parsed(text)
    if amount is None:
        return None
    suffix = (_FORM.fullmatch(text) or [None, None, ""])[2] or ""
    if suffix in _BINARY and amount == amount.to_integral_value():
        return _binary(int(amount))
    with localcontext(_EXACT):
        amount = amount.quantize(Decimal(1).scaleb(smallest), rounding=ROUND_UP)
        return _decimal(amount, exponent=bool(suffix) and suffix[0] in "eE" and suffix != "E")


def _binary(amount: int) -> str:
    if amount == 0:
        return "0"
    power = 0
    while power < 6 and amount % 1024 == 0:
        amount //= 1024
        power += 1
    return str(amount) + next((name for name, found in _BINARY.items() if found == power), "")


def _decimal(amount: Decimal, *, exponent: bool) -> str:
    if amount == 0:
        return "0"
    power = 18
    while amount.scaleb(-power) != amount.scaleb(-power).to_integral_value():
        power -= 3
    number = int(amount.scaleb(-power))
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return f"{number}{_BY_POWER[power]}"
