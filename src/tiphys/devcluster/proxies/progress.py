"""Up to which state of the objects does a proxy say what they say? (pure)"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from tiphys.devcluster.proxies.traefik_says import SERVICE, Key, Says

PATIENCE = 10.0
"""Seconds after which an object that the proxy does not act upon is given up, and told."""


@dataclass(frozen=True, slots=True)
class _Word:
    version: int
    at: float
    value: Hashable


@dataclass(slots=True)
class Progress:
    """
    What every object has said since the proxy was last seen to say the same.

    Each word comes with the first resourceVersion at which it may have been said, which is right after the last look, and its time.

    Objects keep changing while one waits: so the proxy is compared with what they said before as well, not only with what they
    say now.
    """

    _words: dict[Key, list[_Word]] = field(default_factory=dict)
    _noted: int = 0

    def note(self, said: Says, *, version: int, now: float) -> None:
        """Take down what the objects say at *version*."""
        for key in {*said, *self._words}:
            words, value = self._words.setdefault(key, []), said.get(key)
            if not words or words[-1].value != value:
                words.append(_Word(self._noted + 1, now, value))
        self._noted = version

    def addresses(self) -> frozenset[str]:
        """Give every address that Services had since: the proxy may still come to send there."""
        said = [word.value for key, words in self._words.items() if key[0] == SERVICE for word in words]
        return frozenset().union(*(each for each in said if isinstance(each, frozenset)))

    def reached(self, told: Says, *, version: int, now: float) -> tuple[int, tuple[str, ...]]:
        """
        Give the state of the objects that the proxy acts upon, if *told* is what it says, and what was given up.

        *version* is the newest state that was noted.
        """
        furthest, given_up = version, []
        for key in {*told, *self._words}:
            words = self._words.setdefault(key, [_Word(0, now, None)])
            at = next((index for index in reversed(range(len(words))) if _agree(key, told.get(key), words[index].value)), None)
            if at is not None:
                del words[:at]
                furthest = min(furthest, words[1].version - 1 if len(words) > 1 else version)
                if len(words) == 1 and words[0].value is None:
                    del self._words[key]
            elif now - words[-1].at > PATIENCE:
                given_up.append(f"{key[0]} {key[1]} is not acted upon: found {told.get(key)}, wanted {words[-1].value}")
            else:
                furthest = min(furthest, words[0].version - 1)
        return furthest, tuple(sorted(given_up))


def _agree(key: Key, told: Hashable, wanted: Hashable) -> bool:
    """A Service that no route speaks of is no business of the proxy."""
    return told == wanted or (key[0] == SERVICE and told is None)
