"""What does one VirtualService say, and how does it come to say a wish?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.api.rollout import IstioVirtualService
from tiphys.core.intent import Routed, TrafficIntent
from tiphys.traffic.istio_hosts import Sides
from tiphys.traffic.istio_routes import (
    Entry,
    Inherited,
    Source,
    arranged,
    header_entry,
    inherited,
    mirror_entry,
    ours,
    source,
    standing,
)
from tiphys.traffic.istio_select import Carrier, Entries, all_entries, carriers
from tiphys.traffic.istio_weights import Route, part
from tiphys.traffic.manifests import mapping, with_annotation
from tiphys.traffic.shares import Parted, overflow, shares, weighted, wished_experiments


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """An entry that carries weights, and its destinations by side."""

    carrier: Carrier
    parted: Parted


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualService:
    """A VirtualService as found, taken apart; *away* says that it lives in another namespace than the Rollout."""

    manifest: Manifest
    entries: Entries
    sides: Sides
    carried: Sequence[Carried]
    inherited: Inherited
    away: bool

    @property
    def http(self) -> Sequence[Entry]:
        """Give the http entries."""
        return self.entries.get("http", ())

    def first_http(self) -> Carried | None:
        """Give the first http entry that carries weights: the one that mirrors copy."""
        return next((carried for carried in self.carried if carried.carrier.kind == "http"), None)


def take_apart(
    manifest: Manifest, wanted: IstioVirtualService, managed: Collection[str], sides: Sides, *, inherit: bool, away: bool
) -> VirtualService:
    """
    Find in *manifest* the entries that *wanted* means, and their destinations.

    Raises:
        SpecError: the object is malformed, or does not have what the Rollout needs; the field is a path in the VirtualService.

    """
    present = all_entries(mapping(manifest.get("spec"), "spec"))
    carried = [
        Carried(carrier=carrier, parted=part(carrier.entry, carrier.at, sides)) for carrier in carriers(present, wanted, managed, sides)
    ]
    first = next((one.carrier for one in carried if one.carrier.kind == "http"), None)
    return VirtualService(
        manifest=manifest,
        entries=present,
        sides=sides,
        carried=carried,
        inherited=inherited(first.entry, first.at) if inherit and first is not None else Inherited(),
        away=away,
    )


def said(service: VirtualService, managed: Sequence[str], maximum: int) -> list[Routed]:
    """Read what each entry that carries weights says, and with it the managed routes of the whole object."""
    first = service.first_http()
    copied = None if first is None else shares(first.parted, maximum)
    routes = standing(service.http, managed, service.sides, copied, service.inherited, maximum)
    found = [shares(carried.parted, maximum) for carried in service.carried]
    return [
        Routed(
            canary=share.canary,
            stable=share.stable,
            experiments=share.experiments,
            header_routes=routes.header_routes,
            mirrors=routes.mirrors,
            uniform=share.exact and routes.in_order,
        )
        for share in found
    ]


def written(service: VirtualService, wish: TrafficIntent) -> Manifest:
    """
    Give the VirtualService that says *wish*; only what changes on the way to a changed value is copied.

    Raises:
        SpecError: it cannot express the wish; the field is a path in the VirtualService.

    """
    experiments = wished_experiments(wish)

    def destination(name: str, weight: int) -> Entry:
        host = _full_name(name, service.sides.namespace) if service.away else name
        return {"weight": weight, "destination": {"host": host}}

    routes = [weighted(carried.parted, wish, destination) for carried in service.carried]
    lists: dict[str, Sequence[Entry]] = dict(service.entries)
    for carried, route in zip(service.carried, routes, strict=True):
        if route is not carried.parted.route:
            carrier = carried.carrier
            changed = list(lists[carrier.kind])
            changed[carrier.index] = {**carrier.entry, "route": route}
            lists[carrier.kind] = changed
    if "http" in lists:
        lists["http"] = arranged(lists["http"], _managed_entries(service, routes, wish), wish.managed)
    elif wish.header_routes or wish.mirrors:
        raise _needs_http()
    changes = {kind: listed for kind, listed in lists.items() if listed is not service.entries[kind]}
    manifest = {**service.manifest, "spec": {**service.manifest["spec"], **changes}} if changes else service.manifest
    return with_annotation(manifest, ROUTED_EXPERIMENTS, ",".join(sorted(experiments)))


def warnings(service: VirtualService, wish: TrafficIntent) -> list[str]:
    """Name what a person should know: foreign entries that go because their name is managed (S6), and weights beyond the maximum."""
    wished = {*(route.name for route in wish.header_routes), *(route.name for route in wish.mirrors)}
    claimed = [entry for entry in service.http if entry.get("name") in wish.managed and not ours(entry, service.sides, service.inherited)]
    told = [
        f'managedRoutes claims the name of the http route "{entry["name"]}", which Tiphys did not write: '
        f"it is {'replaced' if entry['name'] in wished else 'removed'}"
        for entry in claimed
    ]
    for carried in service.carried:
        excess = overflow(carried.parted, wish)
        if excess and not shares(carried.parted, wish.maximum).says(wish):
            told.append(
                f"the weights of {carried.carrier.at} add up to {wish.maximum + excess}: "
                f"destinations that are not the Rollout's keep {carried.parted.foreign}, so the canary gets less than asked"
            )
    return told


def _managed_entries(service: VirtualService, routes: Sequence[Route], wish: TrafficIntent) -> Mapping[str, Entry]:
    if not wish.header_routes and not wish.mirrors:
        return {}
    place = next((place for place, carried in enumerate(service.carried) if carried.carrier.kind == "http"), None)
    if place is None:
        raise _needs_http()
    made_from = _source(service, service.carried[place], routes[place])
    return {
        **{route.name: header_entry(route, made_from) for route in wish.header_routes},
        **{route.name: mirror_entry(route, made_from) for route in wish.mirrors},
    }


def _source(service: VirtualService, carried: Carried, route: Route) -> Source:
    sides, parted = service.sides, carried.parted
    host = sides.rule_host if sides.rule is not None else sides.canary
    if service.away or not host or host.startswith("*"):
        # A short name would mean another Service there; the carrier's own destination says how the canary is reached.
        host = parted.route[parted.canary]["destination"]["host"]
    subset = "" if sides.rule is None else sides.rule.canary_subset_name
    return source(parted, route, host=host, subset=subset, inherited=service.inherited)


def _needs_http() -> SpecError:
    return SpecError(field="spec.http", found=None, wanted="header and mirror routes need an http entry that carries the weights")


def _full_name(service: str, namespace: str) -> str:
    return f"{service}.{namespace}.svc.cluster.local"
