"""What is wrong with the steps of a canary? (Lifecycle reference 1.7, traffic-routing reference 6.2.)"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tiphys.api import defaults
from tiphys.api.errors import SpecError
from tiphys.api.rollout import (
    AnalysisArgument,
    CanaryStrategy,
    ExperimentStep,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
    StringMatch,
    TrafficRouting,
)
from tiphys.api.values import INVALID_SECONDS, pause_seconds

FIELD: Final = "spec.strategy"
ROUTING: Final = f"{FIELD}.trafficRouting"
KEYS: Final = ("setWeight", "pause", "experiment", "analysis", "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin")
_EXCLUSIVE: Final = KEYS[:4]
_DURATION_WANTED: Final = "must be 0 or more seconds, or a duration such as 90s or 1h30m"
_HEADER_WANTED: Final = "must have headerValue with one of exact, prefix, regex"
_WHOLE: Final = 100
ROUTER_WANTED: Final = "needs a router in trafficRouting"
_METADATA_FIELD: Final = re.compile(r"metadata\.(?:name|namespace|uid|labels|annotations|(?:labels|annotations)\['[^']+'\])")


def keys_of(step: Step) -> list[str]:
    """Give the wire names of what *step* sets."""
    values = (
        step.set_weight,
        step.pause,
        step.experiment,
        step.analysis,
        step.set_canary_scale,
        step.set_header_route,
        step.set_mirror_route,
        step.plugin,
    )
    return [key for key, value in zip(KEYS, values, strict=True) if value is not None]


def steps_problems(canary: CanaryStrategy) -> Iterator[SpecError]:
    """Name all that is wrong with the steps, in their order; what several of them lack is named once."""
    named: set[SpecError] = set()
    kinds: dict[str, str] = {}
    weight = 0
    for at, step in enumerate(canary.steps):
        field = f"{FIELD}.steps[{at}]"
        weight = weight if step.set_weight is None else step.set_weight
        for problem in (
            *_step_problems(canary, step, field),
            *_name_problems(step, kinds, field),
            *_sum_problems(canary, step, weight, field),
        ):
            if problem not in named:
                named.add(problem)
                yield problem


def _step_problems(canary: CanaryStrategy, step: Step, field: str) -> Iterator[SpecError]:
    keys = keys_of(step)
    exclusive = [key for key in keys if key in _EXCLUSIVE]
    if not keys:
        yield SpecError(field=field, found="{}", wanted=f"must set one of {', '.join(KEYS)}")
    if len(exclusive) > 1:
        yield SpecError(field=field, found=", ".join(exclusive), wanted=f"must set only one of {', '.join(_EXCLUSIVE)}")
    maximum = defaults.max_traffic_weight(canary)
    if step.set_weight is not None and not 0 <= step.set_weight <= maximum:
        yield SpecError(field=f"{field}.setWeight", found=step.set_weight, wanted=f"must be 0 to {maximum}")
    if step.pause is not None and pause_seconds(step.pause) == INVALID_SECONDS:
        yield SpecError(field=f"{field}.pause.duration", found=step.pause.duration, wanted=_DURATION_WANTED)
    if step.set_canary_scale is not None and canary.traffic_routing is None:
        yield SpecError(field=ROUTING, found=None, wanted="a traffic router, because a step has setCanaryScale")
    if step.set_header_route is not None:
        yield from _header_problems(canary.traffic_routing, step.set_header_route, f"{field}.setHeaderRoute")
    if step.set_mirror_route is not None:
        yield from _mirror_problems(canary.traffic_routing, step.set_mirror_route, f"{field}.setMirrorRoute")
    if step.experiment is not None:
        yield from _experiment_problems(canary.traffic_routing, step.experiment, field)
    if step.analysis is not None:
        yield from _argument_problems(step.analysis.args, f"{field}.analyses")


def _header_problems(routing: TrafficRouting | None, route: SetHeaderRoute, field: str) -> Iterator[SpecError]:
    if not has_router(routing):
        yield SpecError(field=field, found=route.name, wanted=ROUTER_WANTED)
    for at, match in enumerate(route.match):
        here = f"{field}.match[{at}]"
        if not match.header_value or len(ways_of(match.header_value)) != 1:
            yield SpecError(field=here, found=_ways_text(match.header_value), wanted=_HEADER_WANTED)
    yield from _managed_problems(routing, route.name, field)


def _mirror_problems(routing: TrafficRouting | None, route: SetMirrorRoute, field: str) -> Iterator[SpecError]:
    if not has_router(routing):
        yield SpecError(field=field, found=route.name, wanted=ROUTER_WANTED)
    for at, match in enumerate(route.match):
        for key, value in (("method", match.method), ("path", match.path)):
            if value is not None and len(ways_of(value)) != 1:
                wanted = f"must have {key} with one of exact, prefix, regex"
                yield SpecError(field=f"{field}.match[{at}]", found=_ways_text(value), wanted=wanted)
        for name, value in match.headers.items():
            if len(ways_of(value)) != 1:
                wanted = "must have one of exact, prefix, regex"
                yield SpecError(field=f"{field}.match[{at}].headers.{name}", found=_ways_text(value), wanted=wanted)
    if route.percentage is not None and not 0 <= route.percentage <= _WHOLE:
        yield SpecError(field=f"{field}.percentage", found=route.percentage, wanted=f"must be 0 to {_WHOLE}")
    yield from _managed_problems(routing, route.name, field)


def _name_problems(step: Step, kinds: dict[str, str], field: str) -> Iterator[SpecError]:
    """Name a route that steps set in both ways: a name stands for one route. *kinds* collects in which one each was met first."""
    for kind, route in (("setHeaderRoute", step.set_header_route), ("setMirrorRoute", step.set_mirror_route)):
        if route is not None and kinds.setdefault(route.name, kind) != kind:
            wanted = f"must not share its name with a {kinds[route.name]} step"
            yield SpecError(field=f"{field}.{kind}", found=route.name, wanted=wanted)


def _sum_problems(canary: CanaryStrategy, step: Step, weight: int, field: str) -> Iterator[SpecError]:
    """Name an experiment that would take more than the canary's *weight* leaves."""
    templates = () if step.experiment is None else step.experiment.templates
    if not any(template.weight for template in templates):
        return
    for at, template in enumerate(templates):
        if template.weight is not None and template.weight < 0:
            yield SpecError(field=f"{field}.experiment.templates[{at}].weight", found=template.weight, wanted="must be 0 or more")
    total, left = sum(template.weight or 0 for template in templates), defaults.max_traffic_weight(canary) - weight
    if total > left:
        wanted = f"must have templates whose weights add up to at most {left}, which the canary's {weight} leave"
        yield SpecError(field=f"{field}.experiment", found=total, wanted=wanted)


def _managed_problems(routing: TrafficRouting | None, name: str, field: str) -> Iterator[SpecError]:
    managed = [route.name for route in routing.managed_routes] if routing is not None else []
    if not managed:
        yield SpecError(field=f"{ROUTING}.managedRoutes", found=None, wanted="the names of all routes that steps set, in order of priority")
    elif name not in managed:
        yield SpecError(field=field, found=name, wanted=f"must be listed in managedRoutes ({', '.join(managed)})")


def _experiment_problems(routing: TrafficRouting | None, experiment: ExperimentStep, field: str) -> Iterator[SpecError]:
    for at, template in enumerate(experiment.templates):
        if template.weight is not None and not has_router(routing):
            yield SpecError(field=f"{field}.experiment.templates[{at}].weight", found=template.weight, wanted=ROUTER_WANTED)
    for analysis in experiment.analyses:
        yield from _argument_problems(analysis.args, f"{field}.analyses")


def has_router(routing: TrafficRouting | None) -> bool:
    """Tell whether there is any router; what each of them cannot do is told where the routers are known (`tiphys.traffic.table`)."""
    beside = {"managed_routes", "max_traffic_weight", "verification"}
    return routing is not None and any(getattr(routing, name) for name in routing.__struct_fields__ if name not in beside)


def _argument_problems(arguments: Iterable[AnalysisArgument], field: str) -> Iterator[SpecError]:
    for argument in arguments:
        reference = argument.value_from.field_ref if argument.value_from else None
        if reference and reference.field_path.startswith("metadata") and not _METADATA_FIELD.fullmatch(reference.field_path):
            wanted = "must be a field of the metadata such as metadata.name or metadata.labels['app']"
            yield SpecError(field=field, found=reference.field_path, wanted=f"{wanted} (argument {argument.name})")


def ways_of(value: StringMatch) -> list[str]:
    """Give which of exact, prefix and regex *value* sets."""
    return [name for name, text in (("exact", value.exact), ("prefix", value.prefix), ("regex", value.regex)) if text]


def _ways_text(value: StringMatch | None) -> str:
    return ", ".join(ways_of(value)) if value else ""
