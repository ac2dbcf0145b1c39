"""How does Traefik say this traffic wish? (Traffic-routing reference 4.5.)"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.intent import Feature, Routed, TrafficIntent
from tiphys.core.pairs import backends
from tiphys.traffic.manifests import mapping, with_annotation
from tiphys.traffic.named_members import (
    Names,
    container_ports,
    experiment_port,
    experiments_of,
    part_named,
    services_by_role,
    weighs_experiments,
)
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.shares import Parted, overflow_warning, shares, weighted, wished_experiments

SUPPORTS: Final = frozenset({Feature.WEIGHTS, Feature.EXPERIMENTS, Feature.PING_PONG, Feature.MAX_WEIGHT})

_FIELD: Final = "spec.strategy.canary.trafficRouting.traefik.weightedTraefikServiceName"
_LIST: Final = "spec.weighted.services"
_REACHED: Final = ("kind", "namespace", "port", "scheme", "serversTransport", "passHostHeader", "nativeLB")
"""Fields of a member that say how its pods are reached."""
_DEFAULT_WEIGHT: Final = 1
"""What Traefik takes for a member without a weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraefikRouter:
    """
    One TraefikService that splits by weight.

    *group* is `traefik.io`, or `traefik.containo.us` for Traefik 2. *canary* and *stable* are the Services that the Rollout names; a wish
    brings its own. *ports* are the containers', for the Services of experiments; *experiments* says that the steps have some with weights.
    """

    group: str
    namespace: str
    service: str
    canary: str
    stable: str
    maximum: int = 100
    ports: Mapping[str, int] = field(default_factory=dict)
    experiments: bool = False

    @property
    def name(self) -> str:
        """Name the product."""
        return "traefik"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what Traefik can do through this one object; header and mirror routes would need IngressRoutes that no field names."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the TraefikService."""
        return [self._ref] if self.service else []

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell what is wrong with, or missing from, the TraefikService."""
        try:
            parted = self._parted(found, None)
            if self.experiments:
                with self._about():
                    self._experiment(parted, "", 0)
        except SpecError as error:
            return [error]
        return []

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read the weights in force, or nothing where they cannot be told."""
        try:
            share = shares(self._parted(found, None), self.maximum)
        except SpecError:
            return None
        return Routed(canary=share.canary, stable=share.stable, experiments=share.experiments, uniform=share.exact)

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the TraefikService that says *wish*.

        Raises:
            SpecError: it is missing or malformed, or cannot express the wish.

        """
        parted = self._parted(found, wish)
        with self._about():
            members = weighted(parted, wish, lambda service, weight: self._experiment(parted, service, weight))
            manifest = found[self._ref]
            if members is not parted.route:
                spec = mapping(manifest["spec"], "spec")
                manifest = {**manifest, "spec": {**spec, "weighted": {**spec["weighted"], "services": members}}}
            manifest = with_annotation(manifest, ROUTED_EXPERIMENTS, ",".join(sorted(wished_experiments(wish))))
        warning = overflow_warning(parted, wish, self._ref)
        return Rendered(apply={self._ref: manifest}, warnings=(warning,) if warning else ())

    @property
    def _ref(self) -> Ref:
        return Ref(group=self.group, kind="TraefikService", namespace=self.namespace, name=self.service)

    def _parted(self, found: Mapping[Ref, Manifest], wish: TrafficIntent | None) -> Parted:
        if not self.service:
            raise SpecError(field=_FIELD, found=None, wanted="needs the name of a TraefikService")
        manifest = found.get(self._ref)
        if manifest is None:
            raise SpecError(field=_FIELD, found=self.service, wanted=f"must name an existing TraefikService ({self._ref})")
        with self._about():
            spec = mapping(manifest.get("spec"), "spec")
            if spec.get("weighted") is None:
                wanted = "must be of the weighted kind"
                raise SpecError(field="spec.weighted", found=", ".join(sorted(spec)) or None, wanted=wanted)
            canary, stable = services_by_role(wish, canary=self.canary, stable=self.stable)
            names = Names(
                key="name",
                default=_DEFAULT_WEIGHT,
                namespace=self.namespace,
                canary=canary,
                stable=stable,
                experiments=experiments_of(manifest, wish),
            )
            return part_named(mapping(spec["weighted"], "spec.weighted").get("services"), _LIST, names)

    def _experiment(self, parted: Parted, service: str, weight: int) -> Mapping[str, Any]:
        """Give the member for an experiment: reached as the canary is, but for its port."""
        like, at = parted.route[parted.canary], f"{parted.at}[{parted.canary}]"
        if like.get("kind") == "TraefikService":
            raise SpecError(field=f"{at}.kind", found="TraefikService", wanted="must be a Service for experiments to be reached likewise")
        reached = {key: like[key] for key in _REACHED if key in like}
        return {"name": service, **reached, "port": experiment_port(like.get("port"), self.ports, f"{at}.port"), "weight": weight}

    @contextmanager
    def _about(self) -> Iterator[None]:
        """Say of an error that it is about the TraefikService."""
        try:
            yield
        except SpecError as error:
            raise SpecError(field=_FIELD, found=self.service, wanted=f"{self._ref}: {error}") from None


def traefik_router(rollout: Rollout, settings: Settings) -> TraefikRouter:
    """Give the router for the `traefik` block of *rollout*, which must have one."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.traefik is None:
        raise ValueError("a Rollout without a traefik block has no Traefik router")
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    return TraefikRouter(
        group=settings.traefik_group,
        namespace=rollout.metadata.namespace,
        service=routing.traefik.weighted_traefik_service_name,
        canary=pair.canary,
        stable=pair.stable,
        maximum=100 if routing.max_traffic_weight is None else routing.max_traffic_weight,
        ports=container_ports(rollout),
        experiments=weighs_experiments(canary),
    )
