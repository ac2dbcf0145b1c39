"""How does Traefik say this traffic wish? (Traffic-routing reference 4.5 and 7.2.)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.intent import Feature, Routed, TrafficIntent
from tiphys.core.pairs import backends
from tiphys.traffic import traefik_routes as routes
from tiphys.traffic.named_members import container_ports, weighs_experiments
from tiphys.traffic.owned import owner_of
from tiphys.traffic.route_steps import standing_routes
from tiphys.traffic.router import Ref, Rendered, Search
from tiphys.traffic.settings import TRAEFIK_2, Settings
from tiphys.traffic.together import combine
from tiphys.traffic.traefik_http import TraefikHttp
from tiphys.traffic.traefik_rules import Syntax
from tiphys.traffic.traefik_tcp import TraefikTcp

SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.MIRROR,
        Feature.EXPERIMENTS,
        Feature.PING_PONG,
        Feature.MAX_WEIGHT,
    }
)
MENTIONS: Final = tuple(((group, routes.INGRESS_ROUTE), routes.mentioned) for group in ("traefik.io", TRAEFIK_2))
"""What the objects mention that are searched."""

_OF_REQUESTS: Final = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class TraefikRouter:
    """Requests through a weighted TraefikService, connections through IngressRouteTCPs, or both; without any there is an error to tell."""

    http: TraefikHttp | None
    tcp: TraefikTcp

    @property
    def name(self) -> str:
        """Name the product."""
        return "traefik"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what Traefik can do: a connection has no headers, and nothing of it is copied."""
        return SUPPORTS if self.http is not None else SUPPORTS - _OF_REQUESTS

    def reads(self) -> Sequence[Ref]:
        """Name the objects of the user's that the Rollout names; what we make is named after what is found."""
        return [*(() if self.http is None else self.http.reads()), *self.tcp.reads()]

    def searches(self) -> Sequence[Search]:
        """Look for the IngressRoutes that use the TraefikService."""
        return () if self.http is None else self.http.searches()

    def makes(self, found: Mapping[Ref, Manifest]) -> Sequence[Ref]:
        """Name what the steps will make beside the IngressRoutes found."""
        return () if self.http is None else self.http.makes(found)

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the objects."""
        return [*(() if self.http is None else self.http.problems(found)), *self.tcp.problems(found)]

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the objects say now; connections agree to all managed routes, as they take none."""
        requests = () if self.http is None else (self.http.routed(found),)
        taken = next((answer for answer in requests if answer is not None), None)
        connections = [
            answer if answer is None or taken is None else replace(answer, header_routes=taken.header_routes, mirrors=taken.mirrors)
            for answer in self.tcp.routed(found)
        ]
        return combine([*requests, *connections])

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """Give the objects that say *wish*; those that cannot be rendered keep no others from it."""
        requests = Rendered() if self.http is None else self.http.render(wish, found)
        connections = self.tcp.render(wish, found)
        return Rendered(
            apply={**requests.apply, **connections.apply},
            absent=requests.absent,
            warnings=(*requests.warnings, *connections.warnings),
            errors=(*requests.errors, *connections.errors),
        )


def traefik_router(rollout: Rollout, settings: Settings) -> TraefikRouter:
    """Give the router for the `traefik` block of *rollout*, which must have one."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.traefik is None:
        raise ValueError("a Rollout without a traefik block has no Traefik router")
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    maximum = 100 if routing.max_traffic_weight is None else routing.max_traffic_weight
    tcp = TraefikTcp(
        group=settings.traefik_group,
        namespace=rollout.metadata.namespace,
        names=routing.traefik.ingress_route_tcps,
        canary=pair.canary,
        stable=pair.stable,
        maximum=maximum,
        ports=container_ports(rollout),
        experiments=weighs_experiments(canary),
    )
    service = routing.traefik.weighted_traefik_service_name
    if tcp.names and not service:
        return TraefikRouter(http=None, tcp=tcp)
    http = TraefikHttp(
        owner=owner_of(rollout),
        group=tcp.group,
        syntax=Syntax(settings.traefik_rules),
        namespace=tcp.namespace,
        service=service,
        canary=pair.canary,
        stable=pair.stable,
        managed=tuple(dict.fromkeys(route.name for route in routing.managed_routes)),
        maximum=maximum,
        ports=tcp.ports,
        experiments=tcp.experiments,
        standing=tuple(standing_routes(canary)),
    )
    return TraefikRouter(http=http, tcp=tcp)
