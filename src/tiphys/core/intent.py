"""Where should the traffic go? The one form of that wish, between the decision and every product."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a backend is to the Rollout."""

    STABLE = "stable"
    CANARY = "canary"
    EXPERIMENT = "experiment"


class MatchKind(StrEnum):
    """How a text is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"


class Feature(StrEnum):
    """What a product may be able to do; what is missing is refused by validation, never skipped."""

    WEIGHTS = "weights"
    HEADER_EXACT = "header exact"
    HEADER_PREFIX = "header prefix"
    HEADER_REGEX = "header regex"
    MIRROR = "mirror"
    EXPERIMENTS = "experiment weights"
    PING_PONG = "ping-pong"
    MAX_WEIGHT = "maxTrafficWeight"
    SUBSETS = "subsets without Services"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMatch:
    """One comparison of a text."""

    kind: MatchKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """
    One set of pods and its share.

    *service* is empty in subset mode; *pod_hash* is empty where nobody knows it (a router that reads only Services' names);
    *weight* is in parts of the wish's *maximum*.
    """

    role: Role
    service: str = ""
    pod_hash: str = ""
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMatch:
    """A header's name and the value it must have."""

    header: str
    value: TextMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRoute:
    """Requests that fulfil any of *any_of* go to the canary, all of them."""

    name: str
    any_of: tuple[HeaderMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMatch:
    """Conditions on one request; all that are given must hold. Headers stand sorted by name: route objects keep them in a map."""

    method: TextMatch | None = None
    path: TextMatch | None = None
    headers: tuple[HeaderMatch, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", tuple(sorted(self.headers, key=lambda match: match.header)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRoute:
    """*percent* of the requests that fulfil any of *any_of* are copied to the canary; answers to copies are thrown away."""

    name: str
    any_of: tuple[RequestMatch, ...]
    percent: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficIntent:
    """
    The complete wish: everything that the routers should say, whatever they say now.

    The weights of *backends* are not negative and add up to *maximum*; stable comes first, then canary (absent in a wish
    without one), then experiments. *managed* lists every name of `managedRoutes` in order of priority: what of them is not
    wished for does not stay.
    """

    backends: tuple[Backend, ...]
    header_routes: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[MirrorRoute, ...] = ()
    managed: tuple[str, ...] = ()
    maximum: int = 100

    def weight(self, role: Role) -> int:
        """Sum up what *role* gets."""
        return sum(backend.weight for backend in self.backends if backend.role is role)

    def backend(self, role: Role) -> Backend | None:
        """Find the first backend of *role*."""
        return next((backend for backend in self.backends if backend.role is role), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """
    What the routers' objects say now.

    Where several objects or routes differ, *canary* and *stable* are the largest weights found (safe for sizing) and *uniform* is
    false. The hashes are those that route objects select by themselves (subset labels); `None` where Services decide.
    *header_routes* and *mirrors* are the managed ones that exist, in the order they stand; *uniform* is also false where
    objects differ in those, or where something stands that cannot be read back as a wish.
    """

    canary: int
    stable: int
    experiments: tuple[Backend, ...] = ()
    canary_hash: str | None = None
    stable_hash: str | None = None
    header_routes: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[MirrorRoute, ...] = ()
    uniform: bool = True

    def says(self, wish: TrafficIntent) -> bool:
        """Tell whether the objects already say exactly *wish*."""
        stable, canary = wish.backend(Role.STABLE), wish.backend(Role.CANARY)
        return (
            self.uniform
            and self.canary == wish.weight(Role.CANARY)
            and self.stable == wish.weight(Role.STABLE)
            and self.header_routes == wish.header_routes
            and self.mirrors == wish.mirrors
            and (self.stable_hash is None or stable is None or self.stable_hash == stable.pod_hash)
            and (self.canary_hash is None or canary is None or self.canary_hash == canary.pod_hash)
            and {(e.service, e.weight) for e in self.experiments}
            == {(b.service, b.weight) for b in wish.backends if b.role is Role.EXPERIMENT}
        )
