"""How many pods should each ReplicaSet of a Deployment have next? (pure)"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.devcluster.portions import portion


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many pods a Deployment wants, how many more it may have, and how many of them may be missing."""

    size: int
    surge: int
    missing: int
    rolling: bool

    @property
    def most(self) -> int:
        """How many pods there may be at once."""
        return self.size + self.surge

    @property
    def least(self) -> int:
        """How many pods have to be available."""
        return self.size - self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One ReplicaSet: how many pods it is to have and how many are available."""

    name: str
    wanted: int
    available: int
    created: str
    """Time of creation, as on the wire."""
    most: int
    """How many pods all of the Deployment was allowed when this size was given; 0: nobody noted it."""

    @property
    def age(self) -> tuple[str, str]:
        """What to sort by, the oldest first."""
        return (self.created, self.name)


Sizes = dict[str, int]
"""Name to wanted pods."""


def bounds_of(spec: Mapping[str, Any]) -> Bounds:
    """Read what a Deployment's *spec* allows; where neither more nor fewer pods were allowed, one may be missing."""
    size, strategy = int(spec["replicas"]), spec["strategy"]
    if strategy["type"] != "RollingUpdate":
        return Bounds(size=size, surge=0, missing=0, rolling=False)
    rolling = strategy["rollingUpdate"]
    surge = portion(rolling["maxSurge"], size)
    missing = portion(rolling["maxUnavailable"], size, up=False)
    if not surge and not missing:
        missing = 1
    return Bounds(size=size, surge=surge, missing=min(missing, size), rolling=True)


def grown(newest: Fleet, old: Sequence[Fleet], bounds: Bounds) -> int:
    """Give the size of the *newest* ReplicaSet: as many pods as fit beside the *old* ones."""
    if not bounds.rolling or newest.wanted >= bounds.size:
        return bounds.size
    room = bounds.most - newest.wanted - sum(each.wanted for each in old)
    return newest.wanted + max(0, min(room, bounds.size - newest.wanted))


def shrunk(newest: Fleet, old: Sequence[Fleet], bounds: Bounds) -> Sizes:
    """
    Give smaller sizes of *old* ReplicaSets: pods that are not available go first, then the oldest.

    Pods of the newest that are not available yet count as if they were missing.
    """
    oldest_first = sorted(old, key=lambda each: each.age)
    there = newest.wanted + sum(each.wanted for each in old)
    spare = there - bounds.least - max(0, newest.wanted - newest.available)
    sizes = {each.name: each.wanted for each in oldest_first}
    if spare <= 0:
        return {}
    for each in oldest_first:
        ill = min(spare, max(0, each.wanted - each.available))
        sizes[each.name] -= ill
        spare -= ill
    spare = newest.available + sum(each.available for each in old) - bounds.least
    for each in oldest_first:
        healthy = max(0, min(spare, sizes[each.name]))
        sizes[each.name] -= healthy
        spare -= healthy
    return {each.name: sizes[each.name] for each in oldest_first if sizes[each.name] != each.wanted}


def spread(fleets: Sequence[Fleet], bounds: Bounds, present: int) -> Sizes:
    """
    Give every ReplicaSet its share of a changed size, in the middle of an update.

    The largest takes what rounding leaves over. *present* is how many pods there are, for ReplicaSets on which nobody noted it.
    """
    allowed = bounds.most if bounds.size > 0 else 0
    change = allowed - sum(each.wanted for each in fleets)
    if not change:
        return {each.name: each.wanted for each in fleets}
    by_age = sorted(fleets, key=lambda each: each.age, reverse=change > 0)
    ordered = sorted(by_age, key=lambda each: each.wanted, reverse=True)
    sizes, done = {}, 0
    for each in ordered:
        share = _share(each, bounds, present) if each.wanted and done != change else 0
        part = min(share, change - done) if change > 0 else max(share, change - done)
        sizes[each.name] = each.wanted + part
        done += part
    if ordered:
        sizes[ordered[0].name] = max(0, sizes[ordered[0].name] + change - done)
    return sizes


def _share(fleet: Fleet, bounds: Bounds, present: int) -> int:
    """Give by how much a ReplicaSet changes when the whole does, a half rounded away from zero."""
    if bounds.size == 0:
        return -fleet.wanted
    before = fleet.most or present
    return 0 if not before else math.floor(fleet.wanted * bounds.most / before + 0.5) - fleet.wanted
