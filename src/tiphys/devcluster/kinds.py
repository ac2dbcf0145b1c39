"""Which kinds are built in?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.devcluster.custom import DefinitionRules, Definitions
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules_apps import DeploymentRules, ReplicaSetRules
from tiphys.devcluster.rules_autoscalers import AutoscalerRules
from tiphys.devcluster.rules_core import (
    ConfigMapRules,
    EventRules,
    IngressRules,
    LeaseRules,
    NamespaceRules,
    NewEventRules,
    PlainRules,
    PodTemplateRules,
    SecretRules,
    SpecRules,
    account_rules,
    binding_rules,
    budget_rules,
    node_rules,
)
from tiphys.devcluster.rules_jobs import JobRules
from tiphys.devcluster.rules_pods import PodRules
from tiphys.devcluster.rules_services import EndpointSliceRules, EndpointsRules, ServiceRules
from tiphys.devcluster.subresources import ScalePaths

if TYPE_CHECKING:
    from tiphys.devcluster.rules import Rules
    from tiphys.devcluster.storage import Store
    from tiphys.devcluster.wire import Json

_SCALED = ScalePaths(built_in=True)
_STATUS = frozenset({"status"})
_STATUS_AND_SCALE = frozenset({"status", "scale"})
_ALL = ("all",)
_RBAC = "rbac.authorization.k8s.io/v1"
_NO_COLLECTION = ("create", "delete", "get", "list", "patch", "update", "watch")


def _of(group_version: str, plural: str, kind: str, rules: Rules, short: str = "", **more: Json) -> ResourceType:
    group, _, version = group_version.rpartition("/")
    names = tuple(short.split())
    return ResourceType(
        group=group, version=version, plural=plural, kind=kind, rules=rules, singular=kind.lower(), short_names=names, **more
    )


NAMESPACES = _of(
    "v1",
    "namespaces",
    "Namespace",
    NamespaceRules(),
    "ns",
    namespaced=False,
    subresources=frozenset({"status", "finalize"}),
    verbs=_NO_COLLECTION,
)
NODES = _of("v1", "nodes", "Node", node_rules(), "no", namespaced=False, subresources=_STATUS)
PODS = _of("v1", "pods", "Pod", PodRules(), "po", categories=_ALL, subresources=_STATUS | {"eviction"})
SERVICES = _of("v1", "services", "Service", ServiceRules(), "svc", categories=_ALL, subresources=_STATUS)
ENDPOINTS = _of("v1", "endpoints", "Endpoints", EndpointsRules(), "ep")
EVENTS = _of("v1", "events", "Event", EventRules(), "ev")
CONFIG_MAPS = _of("v1", "configmaps", "ConfigMap", ConfigMapRules(), "cm")
SECRETS = _of("v1", "secrets", "Secret", SecretRules())
SERVICE_ACCOUNTS = _of("v1", "serviceaccounts", "ServiceAccount", account_rules(), "sa")
POD_TEMPLATES = _of("v1", "podtemplates", "PodTemplate", PodTemplateRules())
REPLICA_SETS = _of(
    "apps/v1", "replicasets", "ReplicaSet", ReplicaSetRules(), "rs", categories=_ALL, subresources=_STATUS_AND_SCALE, scale=_SCALED
)
DEPLOYMENTS = _of(
    "apps/v1", "deployments", "Deployment", DeploymentRules(), "deploy", categories=_ALL, subresources=_STATUS_AND_SCALE, scale=_SCALED
)
JOBS = _of("batch/v1", "jobs", "Job", JobRules(), categories=_ALL, subresources=_STATUS)
ENDPOINT_SLICES = _of("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", EndpointSliceRules())
LEASES = _of("coordination.k8s.io/v1", "leases", "Lease", LeaseRules())
INGRESSES = _of("networking.k8s.io/v1", "ingresses", "Ingress", IngressRules(), "ing", subresources=_STATUS)
INGRESS_CLASSES = _of("networking.k8s.io/v1", "ingressclasses", "IngressClass", SpecRules(), namespaced=False)
CRDS = _of(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    DefinitionRules(),
    "crd crds",
    namespaced=False,
    categories=("api-extensions",),
    subresources=_STATUS,
)
POD_DISRUPTION_BUDGETS = _of("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", budget_rules(), "pdb", subresources=_STATUS)
AUTOSCALERS = _of(
    "autoscaling/v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    AutoscalerRules(),
    "hpa",
    categories=_ALL,
    subresources=_STATUS,
)
ROLES = _of(_RBAC, "roles", "Role", PlainRules(name_format="path"))
ROLE_BINDINGS = _of(_RBAC, "rolebindings", "RoleBinding", binding_rules())
CLUSTER_ROLES = _of(_RBAC, "clusterroles", "ClusterRole", PlainRules(name_format="path"), namespaced=False)
CLUSTER_ROLE_BINDINGS = _of(_RBAC, "clusterrolebindings", "ClusterRoleBinding", binding_rules(), namespaced=False)
NEW_EVENTS = _of("events.k8s.io/v1", "events", "Event", NewEventRules(), "ev", stored_as=EVENTS.key)

_BUILT_IN = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, EVENTS, CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, POD_TEMPLATES,
    REPLICA_SETS, DEPLOYMENTS, JOBS, ENDPOINT_SLICES, LEASES, INGRESSES, INGRESS_CLASSES, CRDS, POD_DISRUPTION_BUDGETS,
    AUTOSCALERS, ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, NEW_EVENTS,
)  # fmt: skip


def install(store: Store) -> None:
    """Let *store* serve the built-in kinds, and whatever its CustomResourceDefinitions ask for."""
    for resource in _BUILT_IN:
        store.registry.add(resource)
    Definitions(store, CRDS)
