"""Which kinds are built in?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.devcluster.custom import DefinitionRules, Definitions
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Rules
from tiphys.devcluster.subresources import ScalePaths

if TYPE_CHECKING:
    from tiphys.devcluster.storage import Store

_SCALED = ScalePaths(built_in=True)
_STATUS = frozenset({"status"})


def _core(plural: str, kind: str, rules: Rules, **more: Any) -> ResourceType:
    return ResourceType(group="", version="v1", plural=plural, kind=kind, rules=rules, singular=kind.lower(), **more)


def _of(group_version: str, plural: str, kind: str, rules: Rules, **more: Any) -> ResourceType:
    group, _, version = group_version.partition("/")
    return ResourceType(group=group, version=version, plural=plural, kind=kind, rules=rules, singular=kind.lower(), **more)


class _Plain(Rules):
    counts_generations = False


class _WithStatus(Rules):
    status_apart = True


_plain = _Plain()
_with_status = _WithStatus()

NAMESPACES = _core("namespaces", "Namespace", _plain, namespaced=False, short_names=("ns",), subresources=frozenset({"status", "finalize"}))
NODES = _core("nodes", "Node", _plain, namespaced=False, short_names=("no",), subresources=_STATUS)
PODS = _core("pods", "Pod", _with_status, short_names=("po",), categories=("all",), subresources=_STATUS)
SERVICES = _core("services", "Service", _with_status, short_names=("svc",), categories=("all",), subresources=_STATUS)
ENDPOINTS = _core("endpoints", "Endpoints", _plain, short_names=("ep",))
EVENTS = _core("events", "Event", _plain, short_names=("ev",))
CONFIG_MAPS = _core("configmaps", "ConfigMap", _plain, short_names=("cm",))
SECRETS = _core("secrets", "Secret", _plain)
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", _plain, short_names=("sa",))
POD_TEMPLATES = _core("podtemplates", "PodTemplate", _plain)

REPLICA_SETS = _of(
    "apps/v1",
    "replicasets",
    "ReplicaSet",
    _with_status,
    short_names=("rs",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    scale=_SCALED,
)
DEPLOYMENTS = _of(
    "apps/v1",
    "deployments",
    "Deployment",
    _with_status,
    short_names=("deploy",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    scale=_SCALED,
)
ENDPOINT_SLICES = _of("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", Rules())
LEASES = _of("coordination.k8s.io/v1", "leases", "Lease", _plain)
INGRESSES = _of("networking.k8s.io/v1", "ingresses", "Ingress", _with_status, short_names=("ing",), subresources=_STATUS)
INGRESS_CLASSES = _of("networking.k8s.io/v1", "ingressclasses", "IngressClass", Rules(), namespaced=False)
CRDS = _of(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    DefinitionRules(),
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=_STATUS,
)
JOBS = _of("batch/v1", "jobs", "Job", _with_status, categories=("all",), subresources=_STATUS)
POD_DISRUPTION_BUDGETS = _of(
    "policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", _with_status, short_names=("pdb",), subresources=_STATUS
)
AUTOSCALERS = _of(
    "autoscaling/v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    _with_status,
    short_names=("hpa",),
    categories=("all",),
    subresources=_STATUS,
)
ROLES = _of("rbac.authorization.k8s.io/v1", "roles", "Role", _plain)
ROLE_BINDINGS = _of("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", _plain)
CLUSTER_ROLES = _of("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", _plain, namespaced=False)
CLUSTER_ROLE_BINDINGS = _of("rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", _plain, namespaced=False)
NEW_EVENTS = _of("events.k8s.io/v1", "events", "Event", _plain, short_names=("ev",))

BUILT_IN = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, EVENTS, CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, POD_TEMPLATES,
    REPLICA_SETS, DEPLOYMENTS, ENDPOINT_SLICES, LEASES, INGRESSES, INGRESS_CLASSES, CRDS, JOBS, POD_DISRUPTION_BUDGETS,
    AUTOSCALERS, ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, NEW_EVENTS,
)  # fmt: skip


def install(store: Store) -> None:
    """Let *store* serve the built-in kinds."""
    for resource in BUILT_IN:
        store.registry.add(resource)
    Definitions(store, CRDS)
