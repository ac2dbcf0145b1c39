from itertools import chain

import click
import pytest
from click.testing import CliRunner

from fakeapi import FakeApi
from tiphys.api.misfits import misfits
from tiphys.cli.checks import KINDS
from tiphys.cli.family import Object
from tiphys.cli.get import use_colour
from tiphys.cli.kinds import ANALYSIS_RUNS, EXPERIMENTS, REPLICA_SETS, ROLLOUTS
from tiphys.cli.main import root
from tiphys.cli.reading import read_family
from tiphys.cli.verdict import verdict
from tiphys.kube.errors import NotFoundError
from tiphys.kube.resources import EVENTS


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


UNVERIFIED = {"metadata": {"name": "web", "uid": "ro"}, "status": {"canary": {"weights": {"verified": False}}}}
TOLD = {
    "metadata": {"name": "web.1"},
    "involvedObject": {"uid": "ro"},
    "reason": "WeightVerifyError",
    "message": "nobody answers",
    "lastTimestamp": "2026-03-10T12:00:00Z",
}
OF_ANOTHER = {
    **TOLD,
    "metadata": {"name": "web.2"},
    "involvedObject": {"uid": "before"},
    "message": "of a Rollout that was called so before",
}


async def test_events_are_read_where_they_tell_why_traffic_is_not_verified() -> None:
    family = await read_family(FakeApi((ROLLOUTS, UNVERIFIED), (EVENTS, TOLD), (EVENTS, OF_ANOTHER)), "web")

    assert [event.message for event in family.events] == ["nobody answers"]
    assert str(verdict(family)) == "no: nobody answers"


async def test_events_are_not_asked_for_where_nothing_waits_for_a_verifier_nor_needed_where_it_does() -> None:
    confirmed = {**UNVERIFIED, "status": {"canary": {"weights": {"verified": True}}}}
    unknown = {**UNVERIFIED, "status": {"canary": {"weights": {"canary": {"weight": 20}}}}}
    closed = FakeApi((ROLLOUTS, UNVERIFIED), (EVENTS, TOLD))
    closed.absent = {"events"}

    families = [
        await read_family(FakeApi((ROLLOUTS, confirmed), (EVENTS, TOLD)), "web"),
        await read_family(FakeApi((ROLLOUTS, unknown), (EVENTS, TOLD)), "web"),
        await read_family(closed, "web"),
    ]

    assert [family.events for family in families] == [(), (), ()]
    assert [str(verdict(family)) for family in families] == ["yes", "None", "no"]


def test_json_is_not_for_watching() -> None:
    done = CliRunner().invoke(root, ["get", "rollout", "web", "--json", "--watch"], obj={})

    assert done.exit_code == click.UsageError.exit_code
    assert "--json: found --watch too, wanted one of both" in done.output
