"""How does a rule of Traefik's say that only some requests are meant, and when does it come before another?"""

import re
from enum import StrEnum
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.core.intent import HeaderMatch, HeaderRoute, MatchKind, MirrorRoute, RequestMatch, TextMatch
from tiphys.traffic.http_methods import methods_that_fit

MOST_PRIORITY: Final = 2**63 - 1 - 1000
"""Above it Traefik keeps its own routers."""


class Syntax(StrEnum):
    """The two languages of rules; Traefik 3 reads both."""

    V2 = "v2"
    V3 = "v3"


def condition(route: HeaderRoute | MirrorRoute, syntax: Syntax) -> str:
    """
    Give the part of a rule that says which requests *route* is for; nothing where it is for all.

    Raises:
        SpecError: the syntax cannot say it; the field is the place in the step.

    """
    if isinstance(route, HeaderRoute):
        return " || ".join(_header(match, syntax, f"match[{index}]") for index, match in enumerate(route.any_of))
    alternatives = [_request(match, syntax, f"match[{index}]") for index, match in enumerate(route.any_of)]
    if not all(alternatives):
        return ""
    return " || ".join(f"({each})" if "&&" in each and len(alternatives) > 1 else each for each in alternatives)


def narrowed(match: str, extra: str) -> str:
    """Give the rule for what fulfils *match* and *extra*; a line's end after *match* would be a syntax error within the brackets."""
    rule = match.strip()
    return f"({rule}) && ({extra})" if extra else rule


def priority_above(given: object, match: str, above: int, at: str) -> int:
    """
    Give the priority that is *above* places over that of the rule *match*, whose own is *given*; without one it is the rule's length.

    Raises:
        SpecError: *given*, found at the path *at*, is no number, or leaves no room.

    """
    if isinstance(given, bool) or not isinstance(given, int | None):
        raise SpecError(field=at, found=given, wanted="must be a whole number")
    priority = (given or len(match.encode())) + above
    if priority > MOST_PRIORITY:
        raise SpecError(
            field=at, found=given, wanted=f"must be at most {MOST_PRIORITY - above} for {above} managed routes to stand above it"
        )
    # 0 would mean the rule's length: what comes from below has to step over it.
    return priority + 1 if given is not None and given < 0 <= priority else priority


def _request(match: RequestMatch, syntax: Syntax, at: str) -> str:
    parts = [] if match.method is None else [_method(match.method, f"{at}.method")]
    parts += [] if match.path is None else [_path(match.path, syntax, f"{at}.path")]
    parts += [_header(header, syntax, f"{at}.headers[{header.header}]") for header in match.headers]
    return " && ".join(parts)


def _method(wanted: TextMatch, at: str) -> str:
    try:
        methods = methods_that_fit(wanted)
    except SpecError as error:
        raise SpecError(field=at, found=error.found, wanted=error.wanted) from None
    either = " || ".join(f"Method({_quoted(method)})" for method in methods)
    return f"({either})" if len(methods) > 1 else either


def _path(wanted: TextMatch, syntax: Syntax, at: str) -> str:
    if wanted.kind is MatchKind.REGEX:
        if syntax is Syntax.V2:
            raise SpecError(
                field=at, found=wanted.value, wanted="must not be a regular expression: rules in the v2 syntax have none for paths"
            )
        return f"PathRegexp({_quoted(_regex(wanted.value, at))})"
    if not wanted.value.startswith("/"):
        raise SpecError(field=at, found=wanted.value, wanted="must begin with /")
    if syntax is Syntax.V2 and set("{}") & set(wanted.value):
        raise SpecError(field=at, found=wanted.value, wanted="must have no braces: in the v2 syntax they hold patterns")
    return f"{'Path' if wanted.kind is MatchKind.EXACT else 'PathPrefix'}({_quoted(wanted.value)})"


def _header(match: HeaderMatch, syntax: Syntax, at: str) -> str:
    if not match.header or match.header.lower() == "host":
        wanted = "must be the name of a header other than Host, which Traefik keeps apart from the headers"
        raise SpecError(field=at, found=match.header or None, wanted=wanted)
    exact, regex = ("Headers", "HeadersRegexp") if syntax is Syntax.V2 else ("Header", "HeaderRegexp")
    match match.value.kind:
        case MatchKind.EXACT:
            matcher, value = exact, match.value.value
        case MatchKind.PREFIX:
            matcher, value = regex, f"^{re.escape(match.value.value)}"
        case MatchKind.REGEX:
            matcher, value = regex, _regex(match.value.value, at)
    return f"{matcher}({_quoted(match.header)}, {_quoted(value)})"


def _regex(pattern: str, at: str) -> str:
    """
    Make sure that *pattern* is none that Traefik refuses together with the whole rule: its regular expressions are those of Go.

    Raises:
        SpecError: it is.

    """
    depth = 0
    for token in _TOKENS.finditer(pattern):
        if token["wrong"] or token["open"]:
            raise SpecError(field=at, found=pattern, wanted=f"must be a regular expression as Go has them, without {token[0]}")
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth < 0:
            break
    if depth:
        raise SpecError(field=at, found=pattern, wanted="must be a regular expression: its brackets do not match")
    return pattern


def _quoted(text: str) -> str:
    """Give *text* as a literal of a rule, which is one of Go's: between backticks nothing is escaped, between quotes the rest."""
    if text.isprintable() and "`" not in text:
        return f"`{text}`"
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


_TOKENS: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z)"
    r"|(?P<wrong>\\\Z|\\[1-9ceg-moquyF-ORT-VX-Z]|\(\?(?:[=!>#(]|<[=!]|P[=>])|[*+?]\+)"
    r"|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|(?P<open>\[)|[()]",
    re.DOTALL,
)
"""What matters in a regular expression: what Go's do not have, and what must not be mistaken for a bracket."""
