"""What are the steps of a field path such as `spec.steps[2].setWeight`?"""

import re
from typing import Final

_PART: Final = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|([^.\[\]]+)")


def parts(field: str) -> list[str | int]:
    """Split *field* into names and positions; a name in brackets may hold dots."""
    return [int(position) if position else bracketed or name for position, bracketed, name in _PART.findall(field)]
