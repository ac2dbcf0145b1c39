"""
Which products' route objects can the proxy act upon, and how is their wish translated? (pure)

Each plane says in its module how requests enter. All enter at Envoy's URL; the Host header decides:

- the name of a Service (`parcel`, `parcel.shop`, ...) means that Service, as `istio` and `smi` steer it: planes between callers
  and Services;
- a host that a route object names, or any other name for routes without hosts, means the gateway: `ambassador`, `apisix`, `alb`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tiphys.api.errors import TiphysError
from tiphys.devcluster.proxies import plane_alb, plane_ambassador, plane_apisix, plane_istio, plane_smi
from tiphys.devcluster.proxies.builder import SERVICES, SLICES, Backends, Found, Kind, ProxyConfig, Said, together


class PlaneError(TiphysError):
    """There is no such plane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One product's way of routing."""

    kinds: frozenset[Kind]
    """What it reads besides Services and EndpointSlices."""
    says: Callable[[Found, Backends], Said]


PLANES: Mapping[str, Plane] = {
    "istio": Plane(kinds=plane_istio.KINDS, says=plane_istio.istio_says),
    "smi": Plane(kinds=plane_smi.KINDS, says=plane_smi.smi_says),
    "ambassador": Plane(kinds=plane_ambassador.KINDS, says=plane_ambassador.ambassador_says),
    "apisix": Plane(kinds=plane_apisix.KINDS, says=plane_apisix.apisix_says),
    "alb": Plane(kinds=plane_alb.KINDS, says=plane_alb.alb_says),
}
DEFAULT = ("istio",)


def chosen(names: Sequence[str]) -> tuple[Plane, ...]:
    """
    Give the planes with these names, each once.

    Raises: PlaneError naming the one that does not exist, and those that do.
    """
    for name in names:
        if name not in PLANES:
            raise PlaneError(f"plane: found {name!r}, wanted one or several of {', '.join(PLANES)}")
    return tuple(PLANES[name] for name in dict.fromkeys(names))


def kinds_of(names: Sequence[str]) -> frozenset[Kind]:
    """Give every kind that a change of matters to these planes."""
    return frozenset({SERVICES, SLICES}).union(*(plane.kinds for plane in chosen(names)))


def translate(names: Sequence[str], found: Found) -> ProxyConfig:
    """Translate everything *found*; equal objects give an equal configuration, in whatever order they come."""
    backends = Backends.of(found)
    return together(backends, [plane.says(found, backends) for plane in chosen(names)])
