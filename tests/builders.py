"""Valid typed objects, with a keyword for what matters in a test."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tiphys.api import names
from tiphys.api.meta import LabelSelector, Manifest, ObjectMeta, OwnerReference
from tiphys.api.rollout import CanaryStrategy, Pause, PluginStep, Rollout, RolloutSpec, SetCanaryScale, Step, Strategy
from tiphys.api.status import RolloutStatus
from tiphys.api.workloads import ReplicaSet, ReplicaSetSpec, ReplicaSetStatus, Service, ServicePort, ServiceSpec

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
"""A time in whole seconds, for tests that need any."""

LABELS: Mapping[str, str] = {"app": "web"}


def template(*, image: str = "registry.example/web:1", labels: Mapping[str, str] = LABELS, **spec: object) -> msgspec.Raw:
    """Give a pod template with one container; further keywords are fields of its spec (camelCase)."""
    body = {
        "metadata": {"labels": dict(labels)},
        "spec": {"containers": [{"name": "web", "image": image}], **spec},
    }
    return msgspec.Raw(msgspec.json.encode(body))


def step(kind: str, value: Any = None, **more: Any) -> Step:  # noqa: ANN401 - any JSON value, typed by what comes out
    """
    Give one step by its wire name and value: `step("setWeight", 20)`, `step("pause", "10m")`, `step("setCanaryScale", replicas=2)`.

    Without *value* the keywords (camelCase) are the step's fields; `step("pause")` waits for ever.
    """
    if kind == "pause" and value is not None:
        return Step(pause=Pause(duration=value))
    if kind == "setCanaryScale" and value is None:
        return Step(set_canary_scale=msgspec.convert(more, SetCanaryScale))
    if kind == "plugin":
        return Step(plugin=PluginStep(name=value or more["name"], config=msgspec.Raw(msgspec.json.encode(more.get("config", {})))))
    return msgspec.convert({kind: more if value is None else value}, Step)


def steps(*items: Step | Manifest | int) -> tuple[Step, ...]:
    """Give steps from steps, from their JSON form, or from plain weights."""
    return tuple(
        item if isinstance(item, Step) else step("setWeight", item) if isinstance(item, int) else msgspec.convert(item, Step)
        for item in items
    )


def canary(*items: Step | Manifest | int, routing: Manifest | None = None, **fields: Any) -> CanaryStrategy:  # noqa: ANN401 - the fields have types
    """
    Give a canary strategy from *items* (see `steps`).

    *routing* is `trafficRouting` in its JSON form; the Services `web-canary` and `web-stable` come with it. Further keywords are
    fields of the strategy, typed.
    """
    if routing is not None:
        fields = {"canary_service": "web-canary", "stable_service": "web-stable", **fields}
        body = msgspec.json.encode({"trafficRouting": routing})
        fields["traffic_routing"] = msgspec.json.decode(body, type=CanaryStrategy).traffic_routing
    return CanaryStrategy(steps=steps(*items), **fields)


def rollout(
    *items: Step | Manifest | int,
    name: str = "web",
    namespace: str = "default",
    replicas: int | None = 5,
    strategy: Strategy | CanaryStrategy | None = None,
    pod_template: msgspec.Raw | None = None,
    labels: Mapping[str, str] = LABELS,
    status: RolloutStatus | None = None,
    annotations: Mapping[str, str] | None = None,
    generation: int = 1,
    **spec: Any,  # noqa: ANN401 - the fields have types
) -> Rollout:
    """
    Give a Rollout: a canary with the steps *items* unless *strategy* says otherwise.

    Further keywords are fields of the spec, typed.
    """
    if strategy is None:
        strategy = canary(*items)
    if isinstance(strategy, CanaryStrategy):
        strategy = Strategy(canary=strategy)
    return Rollout(
        metadata=ObjectMeta(
            name=name,
            namespace=namespace,
            uid=f"uid-{name}",
            resource_version="1",
            generation=generation,
            creation_timestamp=NOW,
            annotations=dict(annotations or {}),
        ),
        spec=RolloutSpec(
            replicas=replicas,
            selector=spec.pop("selector", LabelSelector(match_labels=dict(labels))),
            template=pod_template if pod_template is not None else template(labels=labels),
            strategy=strategy,
            **spec,
        ),
        status=status or RolloutStatus(),
    )


def replica_set(
    pod_hash: str,
    *,
    replicas: int = 1,
    available: int | None = None,
    ready: int | None = None,
    pods: int | None = None,
    rollout: str = "web",
    namespace: str = "default",
    revision: int = 1,
    created: datetime = NOW,
    pod_template: msgspec.Raw | None = None,
    labels: Mapping[str, str] = LABELS,
    annotations: Mapping[str, str] | None = None,
    name: str = "",
    deleted: datetime | None = None,
) -> ReplicaSet:
    """
    Give a ReplicaSet of *rollout* that carries *pod_hash* and wants *replicas* pods.

    All of its pods exist, are ready and available unless *pods*, *ready* or *available* say otherwise.
    """
    all_labels = {**labels, names.HASH_LABEL: pod_hash}
    pods = replicas if pods is None else pods
    available = pods if available is None else available
    return ReplicaSet(
        metadata=ObjectMeta(
            name=name or names.replica_set(rollout, pod_hash),
            namespace=namespace,
            uid=f"uid-{rollout}-{pod_hash}",
            resource_version="1",
            generation=1,
            creation_timestamp=created,
            deletion_timestamp=deleted,
            labels=all_labels,
            annotations={names.REVISION: str(revision), **(annotations or {})},
            owner_references=(
                OwnerReference(
                    api_version="argoproj.io/v1alpha1",
                    kind="Rollout",
                    name=rollout,
                    uid=f"uid-{rollout}",
                    controller=True,
                    block_owner_deletion=True,
                ),
            ),
        ),
        spec=ReplicaSetSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels=all_labels),
            template=pod_template if pod_template is not None else template(labels=all_labels),
        ),
        status=ReplicaSetStatus(
            replicas=pods,
            ready_replicas=available if ready is None else ready,
            available_replicas=available,
            observed_generation=1,
        ),
    )


def service(
    name: str = "web-stable",
    *,
    namespace: str = "default",
    pod_hash: str = "",
    selector: Mapping[str, str] = LABELS,
    annotations: Mapping[str, str] | None = None,
    port: int = 80,
) -> Service:
    """Give a Service that selects *selector* and, where one is given, *pod_hash*."""
    wanted = {**selector, names.HASH_LABEL: pod_hash} if pod_hash else dict(selector)
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}", resource_version="1", annotations=dict(annotations or {})),
        spec=ServiceSpec(selector=wanted, ports=(ServicePort(name="http", port=port, target_port=8080),)),
    )
