"""What may the operator choose about routers, for all Rollouts?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.rollout import Rollout
from tiphys.traffic.router import Router

TRAFFIC_SPLIT: Final = ("split.smi-spec.io", "TrafficSplit")
HTTP_ROUTE_GROUP: Final = ("specs.smi-spec.io", "HTTPRouteGroup")
APP_MESH: Final = "appmesh.k8s.aws"
TRAEFIK_2: Final = "traefik.containo.us"
SMI_VERSIONS: Final = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Choices that no Rollout has a field for.

    *istio_inherit*: header and mirror entries of a VirtualService take over the match conditions, rewrites, timeouts, retries,
    header changes, CORS policy and faults of the entry that carries the weights. Off, because the reference does not.

    *traefik_group*: the API group of TraefikServices; Traefik 2 has them in `traefik.containo.us`.

    *traefik_syntax*: how rules of IngressRoutes are written that do not say it, `v2` or `v3`; empty means as the group tells.

    *smi_version*: the version of TrafficSplits (and HTTPRouteGroups), because their form differs. *app_mesh_version* is that of the
    objects of App Mesh.

    *verify_target_groups*: AWS is asked whether its load balancers do what Ingresses say; *alb_tag* is the tag that tells which Service
    a target group is for, beside those that the load balancer controller and EKS Auto Mode use.

    *external*: the routers in other processes, by the name that Rollouts give below `plugins`.
    """

    istio_inherit: bool = False
    traefik_group: str = "traefik.io"
    traefik_syntax: str = ""
    smi_version: str = "v1alpha1"
    app_mesh_version: str = "v1beta2"
    verify_target_groups: bool = False
    alb_tag: str = "ingress.k8s.aws/resource"
    external: Mapping[str, Callable[[Rollout], Router]] = field(default_factory=dict)

    @property
    def traefik_rules(self) -> str:
        """Say how rules of IngressRoutes are written that do not say it."""
        return self.traefik_syntax or ("v2" if self.traefik_group == TRAEFIK_2 else "v3")

    @property
    def versions(self) -> Mapping[tuple[str, str], str]:
        """Give the versions of kinds (group and name) that are written in this one, whichever others the server prefers."""
        app_mesh = {(APP_MESH, kind): self.app_mesh_version for kind in ("VirtualService", "VirtualRouter", "VirtualNode")}
        return {TRAFFIC_SPLIT: self.smi_version, HTTP_ROUTE_GROUP: self.smi_version, **app_mesh}
