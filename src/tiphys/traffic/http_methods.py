"""Which HTTP methods fit a condition, for products that can only name methods one by one?"""

import re
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import MatchKind, TextMatch

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


def methods_that_fit(wanted: TextMatch) -> list[str]:
    """
    Name the methods that *wanted* means.

    Raises:
        SpecError: there are none; the field is `method`, because the caller knows the step.

    """
    try:
        found = [method for method in METHODS if _fits(method, wanted)]
    except re.error as error:
        raise SpecError(field="method", found=wanted.value, wanted=f"is no regular expression ({error})") from None
    if not found:
        raise SpecError(field="method", found=wanted.value, wanted=f"must fit one of {', '.join(METHODS)}")
    return found


def _fits(method: str, wanted: TextMatch) -> bool:
    match wanted.kind:
        case MatchKind.EXACT:
            return method == wanted.value
        case MatchKind.PREFIX:
            return method.startswith(wanted.value)
        case MatchKind.REGEX:
            return re.fullmatch(wanted.value, method) is not None
