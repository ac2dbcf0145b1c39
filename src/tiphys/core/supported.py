"""What does this version refuse, because it would otherwise skip it silently?"""

from tiphys.api.errors import SpecError
from tiphys.api.rollout import BlueGreenStrategy, CanaryStrategy, Rollout, Step

_CANARY = "spec.strategy.canary"
_BLUE_GREEN = "spec.strategy.blueGreen"
_WANTED = "absent: this version of Tiphys does not carry it out yet"


def unsupported_parts(rollout: Rollout, *, analysed: bool = False) -> tuple[SpecError, ...]:
    """
    Name every part of the spec that this version cannot carry out: refused, never skipped.

    *analysed* says that somebody makes and runs the AnalysisRuns that the spec asks for.
    """
    spec = rollout.spec
    found: list[tuple[str, bool]] = []
    if spec.strategy.blue_green is not None and spec.strategy.canary is None:
        found += () if analysed else _blue_green(spec.strategy.blue_green)
    if spec.strategy.canary is not None:
        found += _canary(spec.strategy.canary, analysed=analysed)
    return tuple(SpecError(field=field, found="set", wanted=_WANTED) for field, present in found if present)


def _blue_green(strategy: BlueGreenStrategy) -> list[tuple[str, bool]]:
    analyses = (strategy.pre_promotion_analysis, strategy.post_promotion_analysis)
    return [
        (f"{_BLUE_GREEN}.prePromotionAnalysis", analyses[0] is not None and bool(analyses[0].templates)),
        (f"{_BLUE_GREEN}.postPromotionAnalysis", analyses[1] is not None and bool(analyses[1].templates)),
    ]


def _canary(canary: CanaryStrategy, *, analysed: bool) -> list[tuple[str, bool]]:
    parts = [(f"{_CANARY}.analysis", canary.analysis is not None and bool(canary.analysis.templates) and not analysed)]
    for index, step in enumerate(canary.steps):
        parts += [(f"{_CANARY}.steps[{index}].{key}", key != "analysis" or not analysed) for key in _step(step)]
    return parts


def _step(step: Step) -> list[str]:
    keys = {"experiment": step.experiment, "analysis": step.analysis, "plugin": step.plugin}
    return [key for key, value in keys.items() if value is not None]
