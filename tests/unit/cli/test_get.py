from itertools import chain

import pytest

from fakeapi import FakeApi
from tiphys.cli.family import Object
from tiphys.cli.get import use_colour
from tiphys.cli.kinds import ANALYSIS_RUNS, EXPERIMENTS, REPLICA_SETS, ROLLOUTS
from tiphys.cli.reading import read_family
from tiphys.cli.strict import KINDS, misfits
from tiphys.kube.errors import NotFoundError


@pytest.mark.parametrize(
    ("environ", "no_color", "painted"),
    [
        ({"TERM": "xterm"}, False, True),
        ({}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, False, True),
        ({"TERM": "xterm"}, True, False),
    ],
)
def test_people_can_do_without_colours(environ: dict[str, str], *, no_color: bool, painted: bool) -> None:
    assert use_colour(environ, no_color=no_color) is painted


async def test_a_rollout_is_read_with_everything_in_its_namespace() -> None:
    api = FakeApi(
        (ROLLOUTS, {"metadata": {"name": "web"}}),
        (REPLICA_SETS, {"metadata": {"name": "web-one"}}),
        (EXPERIMENTS, {"metadata": {"name": "web-try"}}),
        (ANALYSIS_RUNS, {"metadata": {"name": "web-run"}, "status": {"phase": "Running"}}),
    )

    family = await read_family(api, "web")

    shown = chain[Object](family.replica_sets, family.experiments, family.analysis_runs)
    assert [found.metadata.name for found in shown] == ["web-one", "web-try", "web-run"]


async def test_a_cluster_may_lack_experiments_and_analysis() -> None:
    api = FakeApi((ROLLOUTS, {"metadata": {"name": "web"}}))
    api.absent = {"experiments", "analysisruns"}

    family = await read_family(api, "web")

    assert (family.experiments, family.analysis_runs) == ((), ())


async def test_a_cluster_may_not_lack_rollouts() -> None:
    with pytest.raises(NotFoundError):
        await read_family(FakeApi(), "web")


def test_unknown_fields_of_analysis_objects_are_found_too() -> None:
    template = {"kind": "AnalysisTemplate", "spec": {"metrics": [{"name": "a", "succesCondition": "true", "count": []}]}}
    experiment = {"spec": {"templates": [{"name": "a", "template": {"spec": {"containers": [{"nmae": "x"}]}}}]}}

    found = [
        *misfits(template, KINDS["argoproj.io/v1alpha1", "AnalysisTemplate"]),
        *misfits(experiment, KINDS["argoproj.io/v1alpha1", "Experiment"]),
    ]

    assert [each.error.field for each in found] == [
        "spec.metrics[0].succesCondition",
        "spec.metrics[0].count",
        "spec.templates[0].template.spec.containers[0].nmae",
    ]
