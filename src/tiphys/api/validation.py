"""What does a user have to mend before a Rollout can be acted on? (Lifecycle reference 1.7 and 1.8.)"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tiphys.api import defaults, names
from tiphys.api.canaryvalidation import anti_affinity_problems, canary_problems, count_problems
from tiphys.api.errors import SpecError, SpecInternalError
from tiphys.api.podvalidation import has_metadata, template_labels, template_problems
from tiphys.api.rollout import BlueGreenStrategy, Metadata, Rollout
from tiphys.api.specwarnings import spec_warnings
from tiphys.api.stepvalidation import FIELD
from tiphys.api.syntax import selector_problems
from tiphys.api.workloads import Deployment, Service

__all__ = ["invalid_message", "listed", "named_services", "reference_problems", "spec_problems", "spec_warnings", "template_labels"]

_MOST_SHOWN: Final = 50


def spec_problems(rollout: Rollout, *, workload: Deployment | None = None) -> tuple[SpecError, ...]:
    """
    Name all that is wrong with the spec of *rollout*, in the documented order.

    *workload* is what `workloadRef` refers to, where that was found; its template is judged then.
    """
    return (*_general_problems(rollout, workload), *_strategy_problems(rollout))


def reference_problems(rollout: Rollout, labels: Mapping[str, str], services: Mapping[str, Service]) -> tuple[SpecError, ...]:
    """
    Name all that is wrong with the Services that *rollout* names.

    *labels* are those of the pod template; *services* are the Services of the Rollout's namespace, as far as they exist, by name.
    """
    return tuple(_service_problems(rollout, labels, services))


def named_services(rollout: Rollout) -> dict[str, str]:
    """Give the Services that *rollout* names, by the path of the field that does."""
    canary, blue_green = rollout.spec.strategy.canary, rollout.spec.strategy.blue_green
    found: dict[str, str] = {}
    if blue_green is not None:
        found[f"{FIELD}.blueGreen.activeService"] = blue_green.active_service
        found[f"{FIELD}.blueGreen.previewService"] = blue_green.preview_service
    if canary is not None:
        found[f"{FIELD}.canary.stableService"] = canary.stable_service
        found[f"{FIELD}.canary.canaryService"] = canary.canary_service
        if canary.ping_pong is not None:
            found[f"{FIELD}.canary.pingPong.pingService"] = canary.ping_pong.ping_service
            found[f"{FIELD}.canary.pingPong.pongService"] = canary.ping_pong.pong_service
    return {field: name for field, name in found.items() if name}


def invalid_message(name: str, problems: Sequence[SpecError]) -> str:
    """Say what is wrong with the Rollout *name*: all *problems*, the first one first."""
    return f'The Rollout "{name}" is invalid: {listed(problems)}'


def listed(problems: Sequence[SpecError]) -> str:
    """Say all *problems*, the first one first, as far as there is room."""
    texts = [str(problem) for problem in problems[:_MOST_SHOWN]]
    if len(problems) > _MOST_SHOWN:
        texts.append(f"and {len(problems) - _MOST_SHOWN} more")
    return "; ".join(texts)


def _general_problems(rollout: Rollout, workload: Deployment | None) -> Iterator[SpecError]:
    spec = rollout.spec
    referred = spec.workload_ref is not None
    if spec.replicas is not None and spec.replicas < 0:
        yield SpecError(field="spec.replicas", found=spec.replicas, wanted="must be 0 or more")
    if spec.selector is not None:
        yield from selector_problems(spec.selector, "spec.selector")
    elif not referred:
        yield SpecError(field="spec.selector", found=None, wanted="a label selector that matches the labels of the pod template")
    template = bytes(spec.template)
    if not referred:
        yield from template_problems(template, spec.selector)
    elif workload is not None:
        yield from template_problems(bytes(workload.spec.template), spec.selector or workload.spec.selector)
    elif has_metadata(template):
        yield SpecInternalError(field="spec.template", found="labels or annotations", wanted="must be empty beside workloadRef")
    if spec.min_ready_seconds < 0:
        yield SpecError(field="spec.minReadySeconds", found=spec.min_ready_seconds, wanted="must be 0 or more")
    if spec.revision_history_limit is not None and spec.revision_history_limit < 0:
        yield SpecError(field="spec.revisionHistoryLimit", found=spec.revision_history_limit, wanted="must be 0 or more")
    deadline = defaults.progress_deadline_seconds(spec)
    if deadline < 0:
        yield SpecError(field="spec.progressDeadlineSeconds", found=deadline, wanted="must be 0 or more")
    elif deadline <= spec.min_ready_seconds:
        wanted = f"must be greater than minReadySeconds ({spec.min_ready_seconds})"
        yield SpecError(field="spec.progressDeadlineSeconds", found=deadline, wanted=wanted)


def _strategy_problems(rollout: Rollout) -> Iterator[SpecError]:
    strategy = rollout.spec.strategy
    match strategy.canary, strategy.blue_green:
        case None, None:
            yield SpecError(field=f"{FIELD}.strategy", found=None, wanted="one of canary and blueGreen")
        case canary, None if canary is not None:
            yield from canary_problems(canary)
            yield from _metadata_problems(rollout)
        case None, blue_green if blue_green is not None:
            yield from _blue_green_problems(rollout, blue_green)
            yield from _metadata_problems(rollout)
        case _:
            yield SpecError(field=f"{FIELD}.strategy", found="canary, blueGreen", wanted="must have only one of canary and blueGreen")


def _metadata_problems(rollout: Rollout) -> Iterator[SpecError]:
    """Ephemeral labels must leave the selector's labels alone, or the ReplicaSet would lose its pods."""
    canary, blue_green = rollout.spec.strategy.canary, rollout.spec.strategy.blue_green
    marks: dict[str, Metadata | None] = {}
    if canary is not None:
        marks |= {"canaryMetadata": canary.canary_metadata, "stableMetadata": canary.stable_metadata}
    if blue_green is not None:
        marks |= {"previewMetadata": blue_green.preview_metadata, "activeMetadata": blue_green.active_metadata}
    selector = rollout.spec.selector
    fixed = {names.HASH_LABEL: "", **({} if selector is None else selector.match_labels)}
    for field, metadata in marks.items():
        for key, value in ({} if metadata is None else metadata.labels).items():
            if key in fixed and value != fixed[key]:
                wanted = "must not be a label of spec.selector: the ReplicaSet would lose its pods"
                yield SpecError(field=f"{FIELD}.{field}.labels[{key}]", found=value, wanted=wanted)


def _blue_green_problems(rollout: Rollout, strategy: BlueGreenStrategy) -> Iterator[SpecError]:
    if not strategy.active_service:
        yield SpecError(field=f"{FIELD}.activeService", found=None, wanted="the Service that takes the traffic")
    elif strategy.active_service == strategy.preview_service:
        yield SpecError(field=f"{FIELD}.activeService", found=strategy.active_service, wanted="must differ from previewService")
    limit, history = strategy.scale_down_delay_revision_limit, defaults.revision_history_limit(rollout.spec)
    if limit is not None and limit > history:
        wanted = f"must be at most revisionHistoryLimit ({history})"
        yield SpecError(field=f"{FIELD}.scaleDownDelayRevisionLimit", found=limit, wanted=wanted)
    yield from count_problems(strategy.max_unavailable, f"{FIELD}.maxUnavailable")
    yield from anti_affinity_problems(strategy.anti_affinity)


def _service_problems(rollout: Rollout, labels: Mapping[str, str], services: Mapping[str, Service]) -> Iterator[SpecError]:
    named = named_services(rollout)
    for field, name in named.items():
        if name not in services:
            wanted = f'must be a Service in namespace "{rollout.metadata.namespace}", and none has that name'
            yield SpecError(field=field, found=name, wanted=wanted)
    for field, name in named.items():
        if name in services:
            yield from _one_service_problems(rollout, labels, services[name], field)


def _one_service_problems(rollout: Rollout, labels: Mapping[str, str], service: Service, field: str) -> Iterator[SpecError]:
    name = service.metadata.name
    wrong = [f"{key}={value}" for key, value in service.spec.selector.items() if key != names.HASH_LABEL and labels.get(key) != value]
    if wrong:
        wanted = f"must be a Service that selects the pod template, and its selector has {', '.join(wrong)}"
        yield SpecError(field=field, found=name, wanted=wanted)
    manager = service.metadata.annotations.get(names.MANAGED_BY)
    if manager is not None and manager != rollout.metadata.name:
        yield SpecError(field=field, found=name, wanted=f'must be a Service of this Rollout, and it belongs to the Rollout "{manager}"')
