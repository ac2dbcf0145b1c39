"""How do connections get their shares through IngressRouteTCPs? (Traffic-routing reference 7.2.)"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.core.intent import Routed, TrafficIntent
from tiphys.traffic.about import about
from tiphys.traffic.manifests import entries, mapping, with_annotation
from tiphys.traffic.named_members import Names, experiment_port, experiments_of, part_named, services_by_role
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.shares import Parted, overflow_warning, shares, weighted, wished_experiments

KIND: Final = "IngressRouteTCP"

_FIELD: Final = "spec.strategy.canary.trafficRouting.traefik.ingressRouteTCPs"
_REACHED: Final = ("nativeLB", "nodePortLB", "proxyProtocol", "serversTransport", "terminationDelay", "tls")
"""Fields of a service that say how its pods are reached, but for the port."""
_DEFAULT_WEIGHT: Final = 1
"""What Traefik takes for a service without a weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraefikTcp:
    """
    IngressRouteTCPs of the user's, by *names*: each of their routes that lists both Services splits.

    *canary* and *stable* are the Services that the Rollout names; a wish brings its own. *ports* are the containers', for the Services of
    experiments; *experiments* says that the steps have some with weights.
    """

    group: str
    namespace: str
    names: tuple[str, ...]
    canary: str
    stable: str
    maximum: int = 100
    ports: Mapping[str, int] = field(default_factory=dict)
    experiments: bool = False

    def reads(self) -> Sequence[Ref]:
        """Name the IngressRouteTCPs."""
        return [self._ref(name) for name in dict.fromkeys(self.names) if name]

    def problems(self, found: Mapping[Ref, Manifest]) -> Iterator[SpecError]:
        """Tell what is wrong with, or missing from, the IngressRouteTCPs."""
        for index, name in enumerate(self.names):
            if not name:
                yield SpecError(field=f"{_FIELD}[{index}]", found=None, wanted=f"needs the name of an {KIND}")
        for ref in self.reads():
            try:
                parts = self._parts(ref, found, None)
                with about(_FIELD, ref.name, ref):
                    for parted in parts.values() if self.experiments else ():
                        self._experiment(parted, "", 0)
            except SpecError as error:
                yield error

    def routed(self, found: Mapping[Ref, Manifest]) -> Sequence[Routed | None]:
        """Read the weights in force of each route; nothing stands for an object where they cannot be told."""
        return [answer for ref in self.reads() for answer in self._said(ref, found)]

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """Give the IngressRouteTCPs that say the weights of *wish*."""
        apply: dict[Ref, Manifest] = {}
        warnings: list[str] = []
        errors: list[SpecError] = []
        for ref in self.reads():
            try:
                parts = self._parts(ref, found, wish)
                with about(_FIELD, ref.name, ref):
                    apply[ref] = self._written(found[ref], parts, wish)
            except SpecError as error:
                errors.append(error)
            else:
                warnings += [overflow_warning(parted, wish, ref) for parted in parts.values()]
        return Rendered(apply=apply, warnings=tuple(warning for warning in warnings if warning), errors=tuple(errors))

    def _said(self, ref: Ref, found: Mapping[Ref, Manifest]) -> Sequence[Routed | None]:
        try:
            said = [shares(parted, self.maximum) for parted in self._parts(ref, found, None).values()]
        except SpecError:
            return [None]
        return [Routed(canary=share.canary, stable=share.stable, experiments=share.experiments, uniform=share.exact) for share in said]

    def _parts(self, ref: Ref, found: Mapping[Ref, Manifest], wish: TrafficIntent | None) -> dict[int, Parted]:
        """Sort the services of each route that lists both, by the route's place."""
        manifest = found.get(ref)
        if manifest is None:
            raise SpecError(field=_FIELD, found=ref.name, wanted=f"must name an existing {KIND} ({ref})")
        with about(_FIELD, ref.name, ref):
            canary, stable = services_by_role(wish, canary=self.canary, stable=self.stable)
            names = Names(
                key="name",
                default=_DEFAULT_WEIGHT,
                namespace=self.namespace,
                canary=canary,
                stable=stable,
                experiments=experiments_of(manifest, wish),
            )
            parts: dict[int, Parted] = {}
            for index, route in enumerate(entries(mapping(manifest.get("spec"), "spec").get("routes"), "spec.routes")):
                at = f"spec.routes[{index}].services"
                listed = [item.get("name") for item in entries(route.get("services"), at)]
                if canary not in listed or stable not in listed:
                    continue  # most routes of a large object: nothing else of them is looked at
                if {canary, stable} <= {names.service(item, f"{at}[{place}]") for place, item in enumerate(route["services"])}:
                    parts[index] = part_named(route["services"], at, names)
            if not parts:
                wanted = f'needs a route that lists both the canary\'s ("{canary}") and the stable Service ("{stable}")'
                raise SpecError(field="spec.routes", found=None, wanted=wanted)
            return parts

    def _written(self, manifest: Manifest, parts: Mapping[int, Parted], wish: TrafficIntent) -> Manifest:
        listed = {index: weighted(parted, wish, self._member_of(parted)) for index, parted in parts.items()}
        if any(listed[index] is not parted.route for index, parted in parts.items()):
            routes = [
                {**route, "services": listed[index]} if index in listed else route for index, route in enumerate(manifest["spec"]["routes"])
            ]
            manifest = {**manifest, "spec": {**manifest["spec"], "routes": routes}}
        return with_annotation(manifest, ROUTED_EXPERIMENTS, ",".join(sorted(wished_experiments(wish))))

    def _member_of(self, parted: Parted) -> Callable[[str, int], Mapping[str, Any]]:
        return lambda service, weight: self._experiment(parted, service, weight)

    def _experiment(self, parted: Parted, service: str, weight: int) -> Mapping[str, Any]:
        """Give the member for an experiment: reached as the canary is, but for its port."""
        like, at = parted.route[parted.canary], f"{parted.at}[{parted.canary}]"
        reached = {key: like[key] for key in _REACHED if key in like}
        return {"name": service, **reached, "port": experiment_port(like.get("port"), self.ports, f"{at}.port"), "weight": weight}

    def _ref(self, name: str) -> Ref:
        return Ref(group=self.group, kind=KIND, namespace=self.namespace, name=name)
