"""What of an object is kept: copies, so that it does not hold the page of the list that it was read from, and its identity."""

import msgspec

from tiphys.api import names
from tiphys.api.analysis import AnalysisRun, AnalysisRunSpec, AnalysisRunStatus
from tiphys.api.rollout import Rollout, Step
from tiphys.api.status import StepPluginStatus
from tiphys.api.workloads import ReplicaSet


def own_rollout(found: Rollout) -> Rollout:
    """Copy the raw parts, or each keeps its whole page of a list alive."""
    spec = found.spec
    strategy = spec.strategy
    if strategy.canary is not None:
        canary = strategy.canary
        steps = tuple(_own_step(step) for step in canary.steps) if any(step.plugin for step in canary.steps) else canary.steps
        routing = canary.traffic_routing
        if routing is not None and routing.plugins:
            routing = msgspec.structs.replace(routing, plugins={name: _copied(raw) for name, raw in routing.plugins.items()})
        strategy = msgspec.structs.replace(strategy, canary=msgspec.structs.replace(canary, steps=steps, traffic_routing=routing))
    status = found.status
    if status.canary.step_plugin_statuses:
        plugins = tuple(_own_plugin_status(each) for each in status.canary.step_plugin_statuses)
        status = msgspec.structs.replace(status, canary=msgspec.structs.replace(status.canary, step_plugin_statuses=plugins))
    spec = msgspec.structs.replace(spec, template=_copied(spec.template), strategy=strategy)
    return msgspec.structs.replace(found, spec=spec, status=status)


def _own_step(step: Step) -> Step:
    if step.plugin is None:
        return step
    return msgspec.structs.replace(step, plugin=msgspec.structs.replace(step.plugin, config=_copied(step.plugin.config)))


def _own_plugin_status(found: StepPluginStatus) -> StepPluginStatus:
    return msgspec.structs.replace(found, status=_copied(found.status))


def own_replica_set(found: ReplicaSet) -> ReplicaSet:
    """
    Copy the raw template, for the same reason.

    The hash is the one that its selector has, which nobody can change: its own label says nothing once somebody took it away.
    """
    metadata, selector = found.metadata, found.spec.selector
    pod_hash = "" if selector is None else names.pod_hash(selector.match_labels)
    if pod_hash and names.pod_hash(metadata.labels) != pod_hash:
        metadata = msgspec.structs.replace(metadata, labels={**metadata.labels, names.HASH_LABEL: pod_hash})
    return msgspec.structs.replace(
        found, metadata=metadata, spec=msgspec.structs.replace(found.spec, template=_copied(found.spec.template))
    )


def own_run(found: AnalysisRun) -> AnalysisRun:
    """Keep what decisions need: who made it and what it is for, whether it is to end, what came of it in one word and one line."""
    status = None if found.status is None else AnalysisRunStatus(phase=found.status.phase, message=found.status.message)
    return msgspec.structs.replace(found, spec=AnalysisRunSpec(terminate=found.spec.terminate), status=status)


def _copied(raw: msgspec.Raw) -> msgspec.Raw:
    return raw.copy()
