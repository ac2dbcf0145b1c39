"""What in a spec is accepted for the sake of old manifests, but is hardly meant? (Lifecycle reference 1.7 and 12.4.)"""

from collections.abc import Iterable, Iterator
from typing import Final

from tiphys.api import defaults
from tiphys.api.errors import SpecError
from tiphys.api.rollout import BlueGreenStrategy, CanaryStrategy, Rollout, RolloutSpec, SetCanaryScale, Step
from tiphys.api.stepvalidation import FIELD, ROUTING, keys_of
from tiphys.api.values import INVALID_SECONDS, duration_seconds
from tiphys.api.verificationvalidation import verification_warnings

_SCALE_DOWN: Final = ("", "never", "onsuccess", "progressively")
_THRESHOLDS: Final = ("Percent", "Pods")


def spec_warnings(rollout: Rollout) -> tuple[SpecError, ...]:
    """Name what is accepted in the spec of *rollout* and has no meaning, or another one than it seems to have."""
    spec = rollout.spec
    found = [*_general_warnings(spec)]
    if spec.strategy.canary is not None:
        found += _canary_warnings(spec, spec.strategy.canary)
    if spec.strategy.blue_green is not None:
        found += _blue_green_warnings(spec.strategy.blue_green)
    return tuple(found)


def _general_warnings(spec: RolloutSpec) -> Iterator[SpecError]:
    if spec.workload_ref is not None and spec.workload_ref.scale_down not in _SCALE_DOWN:
        wanted = f"means never; must be one of {', '.join(_SCALE_DOWN[1:])}"
        yield SpecError(field="spec.workloadRef.scaleDown", found=spec.workload_ref.scale_down, wanted=wanted)
    elif spec.workload_ref is not None and spec.workload_ref.kind != "Deployment" and spec.workload_ref.scale_down not in {"", "never"}:
        wanted = f"means never for a {spec.workload_ref.kind}; only a Deployment is scaled down"
        yield SpecError(field="spec.workloadRef.scaleDown", found=spec.workload_ref.scale_down, wanted=wanted)
    if spec.rollback_window is not None:
        yield from _negative([("spec.rollbackWindow.revisions", spec.rollback_window.revisions)])
    if spec.analysis is not None:
        yield from _negative(
            [
                ("spec.analysis.successfulRunHistoryLimit", spec.analysis.successful_run_history_limit),
                ("spec.analysis.unsuccessfulRunHistoryLimit", spec.analysis.unsuccessful_run_history_limit),
            ]
        )


def _blue_green_warnings(strategy: BlueGreenStrategy) -> Iterator[SpecError]:
    yield from _negative(
        [
            (f"{FIELD}.previewReplicaCount", strategy.preview_replica_count),
            (f"{FIELD}.autoPromotionSeconds", strategy.auto_promotion_seconds),
            (f"{FIELD}.scaleDownDelaySeconds", strategy.scale_down_delay_seconds),
            (f"{FIELD}.scaleDownDelayRevisionLimit", strategy.scale_down_delay_revision_limit),
            (f"{FIELD}.abortScaleDownDelaySeconds", strategy.abort_scale_down_delay_seconds),
        ]
    )


def _canary_warnings(spec: RolloutSpec, canary: CanaryStrategy) -> Iterator[SpecError]:
    limit, history = canary.scale_down_delay_revision_limit, defaults.revision_history_limit(spec)
    yield from _negative(
        [
            (f"{FIELD}.scaleDownDelaySeconds", canary.scale_down_delay_seconds),
            (f"{FIELD}.scaleDownDelayRevisionLimit", limit),
            (f"{FIELD}.abortScaleDownDelaySeconds", canary.abort_scale_down_delay_seconds),
            (f"{FIELD}.minPodsPerReplicaSet", canary.min_pods_per_replica_set),
        ]
    )
    if limit is not None and limit > history:
        wanted = f"has no effect beyond revisionHistoryLimit ({history})"
        yield SpecError(field=f"{FIELD}.scaleDownDelayRevisionLimit", found=limit, wanted=wanted)
    threshold = canary.replica_progress_threshold
    if threshold is not None:
        if threshold.type not in _THRESHOLDS:
            wanted = f"must be one of {', '.join(_THRESHOLDS)}"
            yield SpecError(field=f"{FIELD}.replicaProgressThreshold.type", found=threshold.type, wanted=wanted)
        if threshold.value < 0 or (threshold.type == "Percent" and threshold.value > 100):
            wanted = "must be 0 to 100 percent, or 0 or more pods"
            yield SpecError(field=f"{FIELD}.replicaProgressThreshold.value", found=threshold.value, wanted=wanted)
    start = canary.analysis.starting_step if canary.analysis is not None else None
    if start is not None and not 0 <= start <= len(canary.steps):
        yield SpecError(field=f"{FIELD}.analysis.startingStep", found=start, wanted=f"must be 0 to {len(canary.steps)} (steps)")
    yield from verification_warnings(canary, ROUTING)
    yield from _route_warnings(canary)
    for at, step in enumerate(canary.steps):
        yield from _step_warnings(step, f"{FIELD}.steps[{at}]")


def _route_warnings(canary: CanaryStrategy) -> Iterator[SpecError]:
    """Warn about routes that go before they came."""
    known: set[str] = set()
    for at, step in enumerate(canary.steps):
        for kind, route in (("setHeaderRoute", step.set_header_route), ("setMirrorRoute", step.set_mirror_route)):
            if route is None:
                continue
            if not route.match and route.name not in known:
                field = f"{FIELD}.steps[{at}].{kind}"
                yield SpecError(field=field, found=route.name, wanted="removes a route, for lack of a match, that no earlier step sets")
            known.add(route.name)


def _step_warnings(step: Step, field: str) -> Iterator[SpecError]:
    keys = keys_of(step)
    if len(keys) > 1:
        yield SpecError(field=field, found=", ".join(keys), wanted="is complete only when every key is; one key in a step is clearer")
    if step.set_canary_scale is not None:
        yield from _scale_warnings(step.set_canary_scale, f"{field}.setCanaryScale")
    experiment = step.experiment
    if experiment is not None and experiment.duration and duration_seconds(experiment.duration) == INVALID_SECONDS:
        yield SpecError(field=f"{field}.experiment.duration", found=experiment.duration, wanted="must be a duration such as 90s or 1h30m")


def _scale_warnings(scale: SetCanaryScale, field: str) -> Iterator[SpecError]:
    yield from _negative([(f"{field}.replicas", scale.replicas)])
    if scale.weight is not None and not 0 <= scale.weight <= 100:
        yield SpecError(field=f"{field}.weight", found=scale.weight, wanted="must be 0 to 100 percent of spec.replicas")
    given = {"matchTrafficWeight": scale.match_traffic_weight, "replicas": scale.replicas is not None, "weight": scale.weight is not None}
    if sum(given.values()) > 1:
        found = ", ".join(name for name, there in given.items() if there)
        yield SpecError(field=field, found=found, wanted="must have one of them; the first listed here wins")


def _negative(values: Iterable[tuple[str, int | None]]) -> Iterator[SpecError]:
    for field, value in values:
        if value is not None and value < 0:
            yield SpecError(field=field, found=value, wanted="must be 0 or more")
