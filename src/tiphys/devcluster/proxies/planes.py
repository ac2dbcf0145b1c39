"""
Which products' route objects can a proxy act upon, and which proxy is that? (pure)

Each plane says in its module how requests enter. `traefik`, `gateway` and `nginx` are Traefik's, which reads the API server itself: each
has a Traefik of its own, and the Host header is one that a route names. The others are translated for one Envoy and enter at its
URL; the Host header decides:

- the name of a Service (`parcel`, `parcel.shop`, ...) means that Service, as `istio`, `smi` and `gamma` steer it: planes between
  callers and Services;
- a host that a route object names, or any other name for routes without hosts, means the gateway: `ambassador`, `apisix`, `alb`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tiphys.api.errors import TiphysError
from tiphys.devcluster.proxies import plane_alb, plane_ambassador, plane_apisix, plane_gamma, plane_istio, plane_smi
from tiphys.devcluster.proxies.builder import SERVICES, SLICES, Backends, Found, Kind, ProxyConfig, Said, together
from tiphys.devcluster.proxies.plane_gateway import GATEWAY_API
from tiphys.devcluster.proxies.plane_nginx import NGINX
from tiphys.devcluster.proxies.plane_traefik import TRAEFIK
from tiphys.devcluster.proxies.traefik_says import TraefikPlane


class PlaneError(TiphysError):
    """There is no such plane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One product's way of routing, as Envoy is told it."""

    kinds: frozenset[Kind]
    """What it reads besides Services and EndpointSlices."""
    says: Callable[[Found, Backends], Said]


ENVOYS: Mapping[str, Plane] = {
    "istio": Plane(kinds=plane_istio.KINDS, says=plane_istio.istio_says),
    "smi": Plane(kinds=plane_smi.KINDS, says=plane_smi.smi_says),
    "gamma": Plane(kinds=plane_gamma.KINDS, says=plane_gamma.gamma_says),
    "ambassador": Plane(kinds=plane_ambassador.KINDS, says=plane_ambassador.ambassador_says),
    "apisix": Plane(kinds=plane_apisix.KINDS, says=plane_apisix.apisix_says),
    "alb": Plane(kinds=plane_alb.KINDS, says=plane_alb.alb_says),
}
TRAEFIKS: Mapping[str, TraefikPlane] = {"traefik": TRAEFIK, "gateway": GATEWAY_API, "nginx": NGINX}
PLANES = (*ENVOYS, *TRAEFIKS)
DEFAULT = ("istio",)


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """
    Give the planes with these names, each once.

    Raises: PlaneError naming the one that does not exist, and those that do.
    """
    for name in names:
        if name not in PLANES:
            raise PlaneError(f"plane: found {name!r}, wanted one or several of {', '.join(PLANES)}")
    return tuple(dict.fromkeys(names))


def kinds_of(names: Sequence[str]) -> frozenset[Kind]:
    """Give every kind that a change of matters to these planes of Envoy's."""
    return frozenset({SERVICES, SLICES}).union(*(ENVOYS[name].kinds for name in names))


def translate(names: Sequence[str], found: Found) -> ProxyConfig:
    """Translate everything *found* for these planes; equal objects give an equal configuration, in whatever order they come."""
    backends = Backends.of(found)
    return together(backends, [ENVOYS[name].says(found, backends) for name in names])
