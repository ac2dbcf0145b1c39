from datetime import datetime
from typing import Any, cast

import msgspec
import pytest

from goldens import Case, Golden, cases
from tiphys.api.analysis import AnalysisRun
from tiphys.api.experiment import Experiment
from tiphys.api.meta import read_time
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.checks import check
from tiphys.cli.family import Family, ShownEvent, ShownPod
from tiphys.cli.manifests import read_text
from tiphys.cli.structured import structured
from tiphys.cli.tree import tree


@pytest.mark.parametrize("case", cases("cli/tree"), ids=str)
def test_a_rollout_is_drawn_with_everything_that_belongs_to_it(case: Case, golden: Golden) -> None:
    family, now = seen(case)

    drawn = tree(family, now, colour=cast("dict[str, Any]", case.given()[0]).get("colour", False))

    golden(case, drawn)


@pytest.mark.parametrize("case", cases("cli/tree"), ids=str)
def test_a_rollout_is_told_to_programs_with_everything_that_belongs_to_it(case: Case, golden: Golden) -> None:
    family, now = seen(case)

    golden(case, structured(family, now))


def seen(case: Case) -> tuple[Family, datetime]:
    given = cast("dict[str, Any]", case.given()[0])
    now = read_time(given["now"])
    assert now is not None
    family = Family(
        rollout=msgspec.json.decode(msgspec.json.encode(given["rollout"]), type=Rollout),
        replica_sets=msgspec.json.decode(msgspec.json.encode(given.get("replicaSets", [])), type=list[ReplicaSet]),
        pods=msgspec.convert(given.get("pods", []), list[ShownPod]),
        experiments=msgspec.convert(given.get("experiments", []), list[Experiment]),
        analysis_runs=msgspec.convert(given.get("analysisRuns", []), list[AnalysisRun]),
        events=msgspec.convert(given.get("events", []), list[ShownEvent]),
    )
    return family, now


@pytest.mark.parametrize("case", cases("cli/lint"), ids=str)
def test_every_error_of_every_document_is_named(case: Case, golden: Golden) -> None:
    text = (case.folder / f"{case.name}.in.yaml").read_text(encoding="utf-8")

    report = check(*read_text(text, file="manifests.yaml"))

    golden(case, "".join(f"{line}\n" for line in [*report.errors, *(f"Warning: {line}" for line in report.warnings)]))
