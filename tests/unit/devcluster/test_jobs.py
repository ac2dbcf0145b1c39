"""Does a Job of the development cluster live as one of a real cluster does? (In virtual time)"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devcluster_objects import Manifest, job
from tiphys.devcluster.behaviour import Behaviour
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.job_indexes import INDEX, read_indexes, written
from tiphys.devcluster.kinds import JOBS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.podlife import stage_of
from tiphys.devcluster.virtual import VirtualCluster

HOLD = "batch.kubernetes.io/job-tracking"
START = datetime(2030, 1, 1, tzinfo=UTC)


class World:
    """A Job `work` in a cluster of its own."""

    def __init__(self, tag: str, **spec: Any) -> None:  # noqa: ANN401 (any JSON value)
        self.cluster = VirtualCluster()
        self.cluster.store.create(JOBS, job(tag, **spec))
        self.cluster.rest()

    def edit(self, **spec: Any) -> None:  # noqa: ANN401 (any JSON value)
        self.cluster.store.patch(JOBS, "work", PatchKind.MERGE, {"spec": spec}, namespace="default")

    @property
    def manifest(self) -> Manifest:
        return self.cluster.store.get(JOBS, "work", namespace="default")

    @property
    def counts(self) -> tuple[int, int, int]:
        """Active, succeeded, failed."""
        active, succeeded, failed = (self.manifest["status"].get(key, 0) for key in ("active", "succeeded", "failed"))
        return active, succeeded, failed

    @property
    def conditions(self) -> list[tuple[str, str]]:
        return [(each["type"], each["reason"]) for each in self.manifest["status"].get("conditions", []) if each["status"] == "True"]

    @property
    def pods(self) -> list[str]:
        return sorted(pod["status"]["phase"] for pod in self.cluster.pods())


def test_a_job_is_complete_when_its_pod_has_ended_well_and_the_pod_stays() -> None:
    world = World("ends-5s")
    uid = world.manifest["metadata"]["uid"]
    begun = world.counts, world.pods, world.cluster.pods()[0]["metadata"]["finalizers"]

    world.cluster.advance(6)

    assert begun == ((1, 0, 0), ["Running"], [HOLD])
    assert (world.counts, world.pods) == ((0, 1, 0), ["Succeeded"])
    assert world.conditions == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    assert [world.manifest["status"][key] for key in ("startTime", "completionTime")] == ["2030-01-01T00:00:00Z", "2030-01-01T00:00:05Z"]
    (pod,) = world.cluster.pods()
    assert pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] == uid
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert "finalizers" not in pod["metadata"]


def test_as_many_pods_run_at_once_as_may_until_as_many_succeeded_as_should() -> None:
    world = World("ends-5s", completions=5, parallelism=2)
    seen = [world.counts]

    for _ in range(3):
        world.cluster.advance(5)
        seen.append(world.counts)

    assert seen == [(2, 0, 0), (2, 2, 0), (1, 4, 0), (0, 5, 0)]
    assert ("Complete", "CompletionsReached") in world.conditions


def test_without_completions_the_first_success_ends_the_making_of_pods() -> None:
    world = World("ends-5s", parallelism=3)
    world.cluster.rest()
    assert world.counts == (3, 0, 0)

    world.cluster.advance(100)

    assert world.counts == (0, 3, 0)


def test_failures_are_tried_again_ever_later_and_then_given_up() -> None:
    world = World("fails-1s", backoffLimit=2)
    failed_at: list[int] = []

    for second in range(60):
        if world.counts[2] > len(failed_at):
            failed_at.append(second)
        world.cluster.advance(1)

    assert failed_at == [1, 12, 33], "ten seconds after the first failure, twenty after the second"
    assert world.conditions == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    assert (world.counts, world.pods) == ((0, 0, 3), ["Failed"] * 3)
    assert "completionTime" not in world.manifest["status"]


def test_a_pod_that_is_started_anew_counts_its_starts_against_the_limit() -> None:
    world = World("fails-1s", policy="OnFailure", backoffLimit=2)

    world.cluster.advance(11)
    almost = world.cluster.pods()[0]["status"]["containerStatuses"][0]["restartCount"], world.conditions
    world.cluster.advance(10)

    assert almost == (1, [])
    assert world.conditions == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]


def test_a_job_that_takes_too_long_ends_its_pods_before_it_has_failed() -> None:
    world = World("v1", activeDeadlineSeconds=10)

    world.cluster.advance(11)
    ending = world.conditions, world.manifest["status"]["terminating"]
    world.cluster.advance(5)

    assert ending == ([("FailureTarget", "DeadlineExceeded")], 1)
    assert world.conditions == [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")]
    assert (world.counts, world.pods) == ((0, 0, 1), [])


def test_a_suspended_job_has_no_pods_and_its_time_begins_when_it_goes_on() -> None:
    world = World("ends-30s", activeDeadlineSeconds=40)
    world.cluster.advance(20)

    world.edit(suspend=True)
    world.cluster.advance(100)
    suspended = world.counts, world.pods, world.conditions
    world.edit(suspend=False)
    world.cluster.advance(31)

    assert suspended == ((0, 0, 0), [], [("Suspended", "JobSuspended")])
    assert (world.counts, world.conditions[-1]) == ((0, 1, 0), ("Complete", "CompletionsReached"))
    assert world.manifest["status"]["startTime"] == "2030-01-01T00:02:00Z"


def test_a_finished_job_is_deleted_with_its_pods_when_its_time_is_up() -> None:
    world = World("ends-5s", ttlSecondsAfterFinished=60)
    world.cluster.advance(64)
    assert world.pods == ["Succeeded"]

    world.cluster.advance(2)

    assert (world.cluster.store.scan(JOBS), world.pods) == ([], [])


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_job_lets_its_pods_go(propagation: str) -> None:
    world = World("ends-50s", parallelism=2, completions=4)

    world.cluster.store.delete(JOBS, "work", namespace="default", propagation=propagation)
    world.cluster.advance(10)

    assert (world.cluster.store.scan(JOBS), world.pods) == ([], [])


def test_each_end_is_counted_once_whoever_deletes_the_pod() -> None:
    world = World("ends-5s", completions=2)
    (first,) = world.cluster.pods()
    world.cluster.evict(first["metadata"]["name"])
    world.cluster.rest()
    replaced = world.counts
    world.cluster.advance(20)

    for pod in world.cluster.pods():
        world.cluster.evict(pod["metadata"]["name"])
    world.cluster.advance(10)

    assert replaced == (1, 0, 1)
    assert (world.counts, world.pods) == ((0, 2, 1), [])


def test_a_pod_is_replaced_when_it_has_ended_if_the_job_asks_for_that() -> None:
    world = World("v1", podReplacementPolicy="Failed")
    (first,) = world.cluster.pods()

    world.cluster.evict(first["metadata"]["name"])
    world.cluster.advance(1)
    leaving = world.counts, world.manifest["status"]["terminating"], len(world.pods)
    world.cluster.advance(15)

    assert leaving == ((0, 0, 0), 1, 1)
    assert (world.counts, world.pods) == ((1, 0, 1), ["Running"])


def test_each_index_is_done_once_the_lowest_first() -> None:
    world = World("ends-5s", completionMode="Indexed", completions=5, parallelism=2)
    (first, second) = world.cluster.pods()
    world.cluster.evict(second["metadata"]["name"])
    world.cluster.advance(5)
    begun = world.manifest["status"]["completedIndexes"]

    world.cluster.advance(100)

    marks = [pod["metadata"]["annotations"][INDEX] for pod in (first, second)]
    assert sorted(marks) == ["0", "1"]
    assert first["metadata"]["generateName"] == f"work-{marks[0]}-"
    assert first["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    assert begun == "0,1", "the index of a pod that was lost is given again"
    assert (world.counts, world.manifest["status"]["completedIndexes"]) == ((0, 5, 1), "0-4")
    assert sorted(pod["metadata"]["labels"][INDEX] for pod in world.cluster.pods()) == ["0", "1", "2", "3", "4"]
    assert world.conditions[-1] == ("Complete", "CompletionsReached")


@pytest.mark.parametrize("text", ["", "0", "0,1", "0-2", "0,2-4,6,8,9"])
def test_indexes_are_written_as_they_are_read(text: str) -> None:
    assert written(read_indexes(text)) == text


def test_a_job_at_rest_writes_nothing() -> None:
    world = World("ends-5s")
    world.cluster.advance(10)
    before = world.cluster.store.version

    world.cluster.advance(10_000)

    assert world.cluster.store.version == before


@pytest.mark.parametrize(
    ("policy", "after", "wanted"),
    [
        ("Never", 5, (0, False, True)),
        ("OnFailure", 5, (1, False, False)),
        ("OnFailure", 7, (1, False, False)),
        ("OnFailure", 10, (1, True, False)),
        ("OnFailure", 20, (2, False, False)),
        ("OnFailure", 25, (2, True, False)),
        ("Always", 45, (3, False, False)),
    ],
)
def test_a_process_that_fails_is_started_anew_if_its_pod_says_so(policy: str, after: int, wanted: tuple[int, bool, bool]) -> None:
    stage = stage_of(Behaviour(ends_after=5.0, exit_code=1), policy, START, START + timedelta(seconds=after))

    assert (stage.restarts, stage.waits, stage.ended) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (job("v1", policy="Always"), 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
        (job("v1", completions=-1), "spec.completions: Invalid value: -1: must be greater than or equal to 0"),
        (job("v1", completionMode="Indexed", parallelism=1), "spec.completions: Required value: when completion mode is Indexed"),
        (job("v1", completionMode="Odd"), 'Unsupported value: "Odd": supported values: "Indexed", "NonIndexed"'),
        (job("v1", selector={"matchLabels": {"app": "work"}}), "`selector` not auto-generated"),
        (job("v1", manualSelector=True), "spec.selector: Required value"),
        (job("v1", manualSelector=True, selector={"matchLabels": {"app": "x"}}), "`selector` does not match template `labels`"),
    ],
)
def test_what_a_job_may_not_ask_for(given: Manifest, said: str) -> None:
    with pytest.raises(StatusError) as error:
        VirtualCluster().store.create(JOBS, given)

    assert said in error.value.message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"completions": 2}, "spec.completions: Invalid value: 2: field is immutable"),
        ({"template": {"metadata": {"labels": {"a": "b"}}}}, "spec.template: Invalid value"),
        ({"completionMode": "Indexed"}, 'spec.completionMode: Invalid value: "Indexed": field is immutable'),
    ],
)
def test_what_a_job_is_does_not_change(change: Manifest, said: str) -> None:
    world = World("v1")

    with pytest.raises(StatusError) as error:
        world.edit(**change)

    assert said in error.value.message
    world.edit(parallelism=0)
    world.cluster.rest()
    assert world.counts == (0, 0, 0)
