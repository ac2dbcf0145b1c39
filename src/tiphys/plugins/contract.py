"""What is said between Tiphys and a router in another process? (Version 1; `docs/external-routers.md` is the same for people.)"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tiphys.core.intent import (
    Backend,
    Feature,
    HeaderMatch,
    HeaderRoute,
    MatchKind,
    MirrorRoute,
    RequestMatch,
    Role,
    Routed,
    TextMatch,
    TrafficIntent,
)
from tiphys.core.observed import Verification

VERSION: Final = "v1"
MAX_BYTES: Final = 8 * 1024 * 1024
"""The longest answer that is read."""

VERDICTS: Final = {"yes": Verification.YES, "notYet": Verification.NOT_YET, "cannotKnow": Verification.CANNOT_KNOW}


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of everything that is said; fields that nobody here knows are ignored, so that version 1 can grow."""


class About(Part, frozen=True):
    """Which Rollout is meant; *uid* tells one from another that was made later under its name."""

    namespace: str
    name: str
    uid: str

    def __post_init__(self) -> None:
        if not (self.namespace and self.name and self.uid):
            raise ValueError("namespace, name and uid")


class Text(Part, frozen=True):
    """One comparison of a text: exactly one of the three."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.exact, self.prefix, self.regex)) != 1:
            raise ValueError("exactly one of exact, prefix and regex")


class Header(Part, frozen=True):
    """A header's name and the value it must have."""

    header: str
    value: Text


class Match(Part, frozen=True):
    """Conditions on one request; all that are given must hold."""

    method: Text | None = None
    path: Text | None = None
    headers: tuple[Header, ...] = ()


class HeaderRouting(Part, frozen=True):
    """Requests that fulfil any of *any_of* go to the canary, all of them."""

    name: str
    any_of: tuple[Header, ...]


class Mirroring(Part, frozen=True):
    """*percent* of the requests that fulfil any of *any_of* are copied to the canary; answers to copies are thrown away."""

    name: str
    any_of: tuple[Match, ...]
    percent: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise ValueError("percent from 0 to 100")


class Share(Part, frozen=True):
    """One set of pods and its share: those behind *service* or, where nothing is said there, those that carry *pod_hash*."""

    role: Role
    service: str = ""
    pod_hash: str = ""
    weight: int = 0


class Traffic(Part, frozen=True):
    """Where all traffic of a Rollout goes: weights in parts of *maximum*, routes in order of priority."""

    backends: tuple[Share, ...]
    maximum: int = 100
    header_routes: tuple[HeaderRouting, ...] = ()
    mirrors: tuple[Mirroring, ...] = ()

    def __post_init__(self) -> None:
        roles = [share.role for share in self.backends]
        if roles.count(Role.STABLE) != 1 or roles.count(Role.CANARY) > 1:
            raise ValueError("one stable backend and at most one canary")
        if any(share.weight < 0 for share in self.backends) or sum(share.weight for share in self.backends) != self.maximum:
            raise ValueError(f"weights from 0 that add up to {self.maximum}")


class Problem(Part, frozen=True):
    """What keeps a router from doing what it is asked: a field of its config, what it found there, what it wants."""

    field: str
    wanted: str
    found: str | None = None


class Wish(Part, frozen=True):
    """
    What a router is asked for, whole.

    *config* is what the Rollout says below `plugins[NAME]`; *managed_routes* are all names that are the Rollout's, in order of priority;
    *version* is that of the state it was computed from, absent where there was none.
    """

    rollout: About
    traffic: Traffic
    config: Any = None
    managed_routes: tuple[str, ...] = ()
    version: str | None = None


class State(Part, frozen=True):
    """
    What a router's product says now for one Rollout.

    *version* changes with every change of *config* or *traffic*. *uniform* is false where some part of the product says something else.
    *verified* is `yes`, `notYet` or `cannotKnow`: whether the product acts on it, with *detail* in words.
    """

    rollout: About
    version: str
    traffic: Traffic
    config: Any = None
    uniform: bool = True
    verified: str = "cannotKnow"
    detail: str = ""
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        if self.verified not in VERDICTS:
            raise ValueError(f"verified to be one of {', '.join(VERDICTS)}")
        if not self.version:
            raise ValueError("a version")


class Self(Part, frozen=True):
    """What a router says of itself: its name, the versions of the contract that it keeps, and what its product can do."""

    name: str
    contracts: tuple[str, ...]
    features: tuple[str, ...]
    max_traffic_weight: int | None = None


class States(Part, frozen=True):
    """All that a router holds; each is read by itself, so that one that is garbage harms one Rollout only."""

    states: tuple[msgspec.Raw, ...]


class Addressed(Part, frozen=True):
    """The part of a state that tells whose it is."""

    rollout: About


class Refusal(Part, frozen=True):
    """The body of an answer that is no success: words, or with 422 the field that is wrong."""

    message: str = ""
    field: str = ""
    found: str | None = None
    wanted: str = ""


def features_of(said: Self) -> frozenset[Feature]:
    """Give the features that a router names; those that only later versions know are nothing to us."""
    return frozenset(feature for feature in Feature if feature.value in said.features)


def traffic_of(wish: TrafficIntent) -> Traffic:
    """Put a wish into words; where a Service tells pods apart, their hash is nobody's business."""
    return Traffic(
        maximum=wish.maximum,
        backends=tuple(
            Share(role=each.role, service=each.service, pod_hash="" if each.service else each.pod_hash, weight=each.weight)
            for each in wish.backends
        ),
        header_routes=tuple(HeaderRouting(name=route.name, any_of=_headers(route.any_of)) for route in wish.header_routes),
        mirrors=tuple(
            Mirroring(name=route.name, any_of=tuple(_match(match) for match in route.any_of), percent=route.percent)
            for route in wish.mirrors
        ),
    )


def routed_of(traffic: Traffic, *, uniform: bool = True) -> Routed:
    """Read what *traffic* says."""
    shares = {share.role: share for share in traffic.backends if share.role is not Role.EXPERIMENT}
    stable, canary = shares[Role.STABLE], shares.get(Role.CANARY)
    experiments = [
        Backend(role=each.role, service=each.service, pod_hash=each.pod_hash, weight=each.weight)
        for each in traffic.backends
        if each.role is Role.EXPERIMENT
    ]
    return Routed(
        canary=0 if canary is None else canary.weight,
        stable=stable.weight,
        experiments=tuple(sorted(experiments, key=lambda each: (each.service, each.pod_hash))),
        stable_hash=None if stable.service else stable.pod_hash,
        canary_hash=None if stable.service else "" if canary is None else canary.pod_hash,
        header_routes=tuple(
            HeaderRoute(name=route.name, any_of=tuple(_header_match(header) for header in route.any_of)) for route in traffic.header_routes
        ),
        mirrors=tuple(
            MirrorRoute(name=route.name, any_of=tuple(_request_match(match) for match in route.any_of), percent=route.percent)
            for route in traffic.mirrors
        ),
        uniform=uniform,
    )


def canonical(config: object) -> str:
    """Put *config* into a text that is equal for equal JSON values."""
    return msgspec.json.encode(config, order="sorted").decode()


def _headers(found: Sequence[HeaderMatch]) -> tuple[Header, ...]:
    return tuple(Header(header=each.header, value=_text(each.value)) for each in found)


def _match(found: RequestMatch) -> Match:
    return Match(
        method=None if found.method is None else _text(found.method),
        path=None if found.path is None else _text(found.path),
        headers=_headers(found.headers),
    )


def _text(found: TextMatch) -> Text:
    return Text(**{found.kind.value: found.value})


def _header_match(said: Header) -> HeaderMatch:
    return HeaderMatch(header=said.header, value=_text_match(said.value))


def _request_match(said: Match) -> RequestMatch:
    return RequestMatch(
        method=None if said.method is None else _text_match(said.method),
        path=None if said.path is None else _text_match(said.path),
        headers=tuple(_header_match(header) for header in said.headers),
    )


def _text_match(said: Text) -> TextMatch:
    for kind in MatchKind:
        value = getattr(said, kind.value)
        if value is not None:
            return TextMatch(kind=kind, value=str(value))
    raise AssertionError("a text that was checked when it was made")
