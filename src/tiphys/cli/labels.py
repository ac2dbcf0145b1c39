"""Which objects does a label selector on the command line mean? (As kubectl's: `team=shop,tier!=test,canary,!old`.)"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tiphys.cli.session import OptionError

_TERM: Final = re.compile(r"(?P<not>!)?(?P<key>[A-Za-z0-9][-A-Za-z0-9_./]*)(?:(?P<sign>!=|==?)(?P<value>[-A-Za-z0-9_.]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One condition: *value* is nothing where only the label's being there counts; *negated* turns it round."""

    key: str
    value: str | None
    negated: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether *labels* fulfil it."""
        found = self.key in labels if self.value is None else labels.get(self.key) == self.value
        return found is not self.negated


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions, all of which have to hold."""

    terms: tuple[Term, ...] = ()

    def match(self, labels: Mapping[str, str]) -> bool:
        """Tell whether *labels* fulfil all conditions."""
        return all(term.holds(labels) for term in self.terms)


def wanted_labels(text: str) -> Wanted:
    """
    Read the selector *text*; an empty one wants nothing.

    Raises:
        OptionError: it is none.

    """
    return Wanted(tuple(_term(part.strip(), text) for part in text.split(",")) if text.strip() else ())


def _term(part: str, text: str) -> Term:
    found = _TERM.fullmatch(part)
    if found is None or (found["not"] and found["sign"]):
        raise OptionError("--selector", text, "labels such as team=shop,tier!=test,canary,!old")
    return Term(key=found["key"], value=found["value"], negated=bool(found["not"]) or found["sign"] == "!=")
