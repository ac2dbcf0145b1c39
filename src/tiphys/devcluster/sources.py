"""Where do time, uids and generated name endings come from?"""

from __future__ import annotations

import functools
import math
import random
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], datetime]

# The letters of generated names: no vowels and nothing that is easily misread, so no word appears by accident.
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def wall_clock() -> datetime:
    """Give the real time, in UTC."""
    return datetime.now(UTC)


def wire_time(moment: datetime) -> str:
    """Write *moment* (aware) as metav1.Time: whole seconds, UTC."""
    return _written(math.floor(moment.timestamp()))


@functools.lru_cache(maxsize=256)
def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Names:
    """Gives uids and suffixes; with a *seed* always the same ones in the same order."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - names, no secrets

    def uid(self) -> str:
        """Give a fresh uid."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self, length: int = 5) -> str:
        """Give the ending of a generated name."""
        return "".join(self._random.choices(SUFFIX_LETTERS, k=length))

    def below(self, limit: int) -> int:
        """Give a number from 0 up to, not including, *limit*."""
        return self._random.randrange(limit)
