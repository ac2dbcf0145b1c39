from datetime import UTC, datetime

import pytest

from tiphys.api import names, words


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (words.created_replica_set("web-a"), 'Created new replica set "web-a"'),
        (words.found_replica_set("web-a"), 'Found new replica set "web-a"'),
        (words.progressing("ReplicaSet", "web-a"), 'ReplicaSet "web-a" is progressing.'),
        (words.timed_out("Rollout", "web"), 'Rollout "web" has timed out progressing.'),
        (words.progressed("web-a"), 'ReplicaSet "web-a" has successfully progressed.'),
        (words.create_failed("web-a", "no quota"), 'Failed to create new replica set "web-a": no quota'),
        (words.aborted(2), "Rollout aborted update to revision 2"),
        (words.aborted(2, "cause"), "Rollout aborted update to revision 2: cause"),
        (words.created_event("web-a", 3), "Created ReplicaSet web-a (revision 3)"),
        (words.scaled("web-a", 3, before=0, after=5), "Scaled up ReplicaSet web-a (revision 3) from 0 to 5"),
        (words.scaled("web-a", 3, before=5, after=0), "Scaled down ReplicaSet web-a (revision 3) from 5 to 0"),
        (words.switched("web", before="a", after="b"), "Switched selector for service 'web' from 'a' to 'b'"),
        (words.updated_to(4), "Rollout updated to revision 4"),
        (words.not_completed(4, "b"), "Rollout not completed, started update to revision 4 (b)"),
        (
            words.completed(4, "b", words.all_steps_completed(3)),
            "Rollout completed update to revision 4 (b): Completed all 3 canary steps",
        ),
        (words.step_completed(1, 3, "setWeight: 20"), "Rollout step 1/3 completed (setWeight: 20)"),
        (words.paused_event("CanaryPauseStep"), "Rollout is paused (CanaryPauseStep)"),
        (words.weight_updated(20), "Traffic weight updated to 20"),
        (words.weight_updated(50, 20), "Traffic weight updated from 20 to 50"),
        (words.added("default", "web"), "Rollout resource added to informer: default/web"),
        (words.deleted("default", "web"), "Rollout web/default is deleted."),
        (words.experiment_created("web-a-1-0"), "Created Experiment 'web-a-1-0'"),
        (
            words.analysis_run_changed("Step", "web-a-1-0", after="Running"),
            "Step Analysis Run 'web-a-1-0' Status New: 'Running' Previous: 'NoPreviousStatus'",
        ),
        (words.reconciliation_failed("oops"), "Reconciliation failed with error: oops"),
    ],
)
def test_people_read_what_they_always_read(said: str, wanted: str) -> None:
    assert said == wanted


def test_objects_are_named_after_rollout_hash_and_revision() -> None:
    assert names.replica_set("web", "abc") == "web-abc"
    assert names.analysis_run("web", "abc", 3) == "web-abc-3"
    assert names.analysis_run("web", "abc", 3, "pre") == "web-abc-3-pre"
    assert names.experiment("web", "abc", 3, 1) == "web-abc-3-1"


def test_annotations_that_others_spoiled_are_as_good_as_none() -> None:
    assert names.revision({}) == names.revision({names.REVISION: "x"}) == 0
    assert names.revision({names.REVISION: "12"}) == 12
    assert names.desired_replicas({}) is None
    assert names.desired_replicas({names.DESIRED_REPLICAS: "x"}) == -1
    assert names.scale_down_deadline({names.SCALE_DOWN_DEADLINE: "x"}) is None
    assert names.scale_down_deadline({names.SCALE_DOWN_DEADLINE: "2026-01-02T03:04:05Z"}) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
