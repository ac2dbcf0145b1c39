"""What does Prometheus read, and how is it written? (Lifecycle reference 10.2)"""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tiphys.api.rollout import Rollout
from tiphys.api.words import ConditionType, Reason

_WHO: Final = ("namespace", "name")
_PLAIN: Final = frozenset({"rollout_reconcile_error"})
"""Counters whose name has no `_total`, as alerts know them."""
_PHASES: Final = ("Completed", "Progressing", "Paused", "Timeout", "Error", "Abort", "InvalidSpec")
_PHASE_OF: Final = {
    Reason.NEW_REPLICA_SET_AVAILABLE: "Completed",
    Reason.ROLLOUT_PAUSED: "Paused",
    Reason.REPLICA_SET_CREATE_ERROR: "Error",
    Reason.PROGRESS_DEADLINE_EXCEEDED: "Timeout",
    Reason.ROLLOUT_ABORTED: "Abort",
}


def text(registry: Collector) -> bytes:
    """Give everything in *registry* in the text format of Prometheus."""
    page = generate_latest(_AsReadersKnowIt(registry))
    for name in _PLAIN:
        for line in ("HELP", "TYPE"):
            page = page.replace(f"# {line} {name}_total ".encode(), f"# {line} {name} ".encode())
    return page


class _AsReadersKnowIt(Collector):
    """The same series without what the library adds to their names, and without its series about when each began."""

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """Give the series."""
        for metric in self._registry.collect():
            began = f"{metric.name}_created"
            metric.samples = [sample for sample in metric.samples if sample.name != began]
            if metric.name in _PLAIN:
                metric.samples = [sample._replace(name=metric.name) for sample in metric.samples]
            yield metric


class RolloutStates(Collector):
    """The state of all Rollouts at the time of the scrape."""

    def __init__(self, rollouts: Callable[[], Iterable[Rollout]]) -> None:
        self._rollouts = rollouts

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the gauges."""
        info = GaugeMetricFamily("rollout_info", "State of a Rollout", labels=(*_WHO, "strategy", "traffic_router", "phase"))
        phases = GaugeMetricFamily("rollout_phase", "Deprecated: use rollout_info", labels=(*_WHO, "strategy", "phase"))
        counts = {
            word: GaugeMetricFamily(f"rollout_info_replicas_{word}", f"Pods {word}", labels=_WHO)
            for word in ("available", "unavailable", "desired", "updated")
        }
        for rollout in self._rollouts():
            who = [rollout.metadata.namespace, rollout.metadata.name]
            phase, strategy = phase_of(rollout), strategy_of(rollout)
            info.add_metric([*who, strategy, router_of(rollout), phase], 1)
            for each in _PHASES:
                phases.add_metric([*who, strategy, each], float(each == phase))
            status = rollout.status
            counts["available"].add_metric(who, status.available_replicas)
            counts["unavailable"].add_metric(who, status.replicas - status.available_replicas)
            counts["desired"].add_metric(who, 1 if rollout.spec.replicas is None else rollout.spec.replicas)
            counts["updated"].add_metric(who, status.updated_replicas)
        return [info, phases, *counts.values()]


def phase_of(rollout: Rollout) -> str:
    """Give the `phase` label: from the Progressing condition's reason, unless the spec is invalid."""
    conditions = {condition.type: condition for condition in rollout.status.conditions}
    if ConditionType.INVALID_SPEC in conditions:
        return "InvalidSpec"
    progressing = conditions.get(ConditionType.PROGRESSING)
    return _PHASE_OF.get(Reason(progressing.reason), "Progressing") if progressing and progressing.reason in set(Reason) else "Progressing"


def strategy_of(rollout: Rollout) -> str:
    """Give the `strategy` label."""
    strategy = rollout.spec.strategy
    return "blueGreen" if strategy.blue_green is not None else "canary" if strategy.canary is not None else "none"


def router_of(rollout: Rollout) -> str:
    """Give the `traffic_router` label; with several routers the last in the documented order."""
    canary = rollout.spec.strategy.canary
    routing = canary.traffic_routing if canary is not None else None
    if routing is None:
        return ""
    named = {
        "ALB": routing.alb,
        "Ambassador": routing.ambassador,
        "Istio": routing.istio,
        "Nginx": routing.nginx,
        "SMI": routing.smi,
        "AppMesh": routing.app_mesh,
    }
    return next((name for name in reversed(named) if named[name] is not None), "")
