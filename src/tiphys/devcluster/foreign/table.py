"""Which kinds do traffic products define, in which versions, and with which subresources?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """
    Kinds of one API group that share versions and subresources.

    *kinds* maps a kind to its plural. *storage* is one of *versions*. *unserved* versions are defined but refused.
    """

    group: str
    versions: tuple[str, ...]
    storage: str
    kinds: dict[str, str]
    unserved: tuple[str, ...] = ()
    cluster_scoped: frozenset[str] = frozenset()
    short_names: tuple[tuple[str, str], ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False


FAMILIES = (
    Family(
        group="networking.istio.io",
        versions=("v1", "v1beta1", "v1alpha3"),
        storage="v1",
        kinds={
            "VirtualService": "virtualservices",
            "DestinationRule": "destinationrules",
            "Gateway": "gateways",
            "ServiceEntry": "serviceentries",
            "Sidecar": "sidecars",
        },
        short_names=(("VirtualService", "vs"), ("DestinationRule", "dr"), ("Gateway", "gw"), ("ServiceEntry", "se")),
        categories=("istio-io", "networking-istio-io"),
        status=True,
    ),
    Family(
        group="traefik.io",
        versions=("v1alpha1",),
        storage="v1alpha1",
        kinds={
            "IngressRoute": "ingressroutes",
            "IngressRouteTCP": "ingressroutetcps",
            "IngressRouteUDP": "ingressrouteudps",
            "Middleware": "middlewares",
            "MiddlewareTCP": "middlewaretcps",
            "ServersTransport": "serverstransports",
            "ServersTransportTCP": "serverstransporttcps",
            "TLSOption": "tlsoptions",
            "TLSStore": "tlsstores",
            "TraefikService": "traefikservices",
        },
    ),
    Family(
        group="gateway.networking.k8s.io",
        versions=("v1", "v1beta1"),
        storage="v1",
        kinds={"GatewayClass": "gatewayclasses", "Gateway": "gateways", "HTTPRoute": "httproutes"},
        cluster_scoped=frozenset({"GatewayClass"}),
        short_names=(("GatewayClass", "gc"), ("Gateway", "gtw")),
        categories=("gateway-api",),
        status=True,
    ),
    Family(
        group="gateway.networking.k8s.io",
        versions=("v1",),
        storage="v1",
        kinds={"GRPCRoute": "grpcroutes", "BackendTLSPolicy": "backendtlspolicies"},
        categories=("gateway-api",),
        status=True,
    ),
    Family(
        group="gateway.networking.k8s.io",
        versions=("v1", "v1alpha3", "v1alpha2"),
        storage="v1",
        kinds={"TLSRoute": "tlsroutes", "TCPRoute": "tcproutes", "UDPRoute": "udproutes"},
        categories=("gateway-api",),
        status=True,
    ),
    Family(
        group="gateway.networking.k8s.io",
        versions=("v1", "v1beta1"),
        storage="v1beta1",
        kinds={"ReferenceGrant": "referencegrants"},
        short_names=(("ReferenceGrant", "refgrant"),),
        categories=("gateway-api",),
    ),
    Family(
        group="apisix.apache.org",
        versions=("v2",),
        storage="v2",
        kinds={"ApisixRoute": "apisixroutes", "ApisixUpstream": "apisixupstreams"},
        short_names=(("ApisixRoute", "ar"), ("ApisixUpstream", "au")),
        status=True,
    ),
    Family(
        group="getambassador.io",
        versions=("v1", "v2", "v3alpha1"),
        storage="v2",
        kinds={"Mapping": "mappings"},
        categories=("ambassador-crds",),
        status=True,
    ),
    Family(
        group="getambassador.io",
        versions=("v1", "v2", "v3alpha1"),
        storage="v2",
        kinds={
            "KubernetesEndpointResolver": "kubernetesendpointresolvers",
            "KubernetesServiceResolver": "kubernetesserviceresolvers",
        },
        categories=("ambassador-crds",),
    ),
    Family(
        group="split.smi-spec.io",
        versions=("v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"),
        storage="v1alpha4",
        kinds={"TrafficSplit": "trafficsplits"},
        short_names=(("TrafficSplit", "ts"),),
    ),
    Family(
        group="specs.smi-spec.io",
        versions=("v1alpha4",),
        storage="v1alpha4",
        kinds={"HTTPRouteGroup": "httproutegroups"},
        short_names=(("HTTPRouteGroup", "htr"),),
    ),
    Family(
        group="elbv2.k8s.aws",
        versions=("v1beta1", "v1alpha1"),
        storage="v1beta1",
        kinds={"TargetGroupBinding": "targetgroupbindings"},
        status=True,
    ),
    Family(
        group="appmesh.k8s.aws",
        versions=("v1beta2",),
        storage="v1beta2",
        kinds={"VirtualService": "virtualservices", "VirtualRouter": "virtualrouters", "VirtualNode": "virtualnodes"},
        categories=("all",),
        status=True,
    ),
)
