from typing import Any

import pytest

from fakeapi import FakeApi
from tiphys.cli.act import promote_rollout
from tiphys.cli.change import set_images, undo_rollout
from tiphys.cli.kinds import DEPLOYMENTS, REPLICA_SETS, ROLLOUTS
from tiphys.cli.patches import ABORT, RefusedError, Skip
from tiphys.cli.session import patch_status
from tiphys.kube.errors import ConflictError, NotFoundError


def a_rollout(*, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - the fields have types
    steps = [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "ro"},
        "spec": {"strategy": {"canary": {"steps": steps}}, "template": pod("web:2"), "unknown": ["kept"], **spec},
        "status": {"currentPodHash": "new", "stableRS": "old", **(status or {})},
    }


def pod(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def a_replica_set(revision: int, image: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"web-{revision}",
            "annotations": {"rollout.argoproj.io/revision": str(revision)},
            "ownerReferences": [{"uid": "ro"}],
        },
        "spec": {"template": pod(image)},
    }


async def test_promote_lifts_what_holds_the_rollout_first_in_the_status_then_in_the_spec() -> None:
    api = FakeApi((ROLLOUTS, a_rollout(paused=True, status={"pauseConditions": [{"reason": "CanaryPauseStep"}]})))

    said = await promote_rollout(api, "web", Skip.NO)

    assert said == "rollout 'web' promoted"
    assert [verb for verb, _, _ in api.writes] == ["patch status", "patch"]
    assert api.raw(ROLLOUTS, "web")["spec"]["paused"] is False
    assert "pauseConditions" not in api.raw(ROLLOUTS, "web")["status"]


async def test_promote_full_writes_nothing_where_nothing_is_left_to_promote() -> None:
    api = FakeApi((ROLLOUTS, a_rollout(status={"stableRS": "new"})))

    assert await promote_rollout(api, "web", Skip.FULL) == "rollout 'web' fully promoted"
    assert api.writes == []


async def test_promote_sends_both_halves_in_one_where_the_status_is_no_subresource() -> None:
    api = FakeApi((ROLLOUTS, a_rollout(paused=True)), status_subresource=False)

    await promote_rollout(api, "web", Skip.FULL)

    assert api.writes == [("patch", "rollouts.argoproj.io/web", {"spec": {"paused": False}, "status": {"promoteFull": True}})]
    assert api.raw(ROLLOUTS, "web")["status"]["promoteFull"] is True


@pytest.mark.parametrize("status_subresource", [True, False])
async def test_abort_reaches_the_status_whatever_the_crd_has(*, status_subresource: bool) -> None:
    api = FakeApi((ROLLOUTS, a_rollout()), status_subresource=status_subresource)

    await patch_status(api, "web", ABORT)

    assert api.raw(ROLLOUTS, "web")["status"]["abort"] is True
    assert len(api.writes) == 1


async def test_a_rollout_that_is_not_there_is_an_error() -> None:
    with pytest.raises(NotFoundError, match=r'rollouts.argoproj.io "web" not found'):
        await patch_status(FakeApi(), "web", ABORT)
    with pytest.raises(NotFoundError, match=r'rollouts.argoproj.io "web" not found'):
        await promote_rollout(FakeApi(), "web", Skip.NO)


async def test_undo_replaces_the_template() -> None:
    history = [(REPLICA_SETS, a_replica_set(2, "web:2")), (REPLICA_SETS, a_replica_set(1, "web:1"))]
    api = FakeApi((ROLLOUTS, a_rollout()), *history)

    assert await undo_rollout(api, "web", 0) == "rollout 'web' undo"
    assert api.raw(ROLLOUTS, "web")["spec"]["template"] == pod("web:1")
    assert api.raw(ROLLOUTS, "web")["spec"]["unknown"] == ["kept"]


async def test_undo_writes_nothing_where_the_template_is_in_use() -> None:
    history = [(REPLICA_SETS, a_replica_set(2, "web:1")), (REPLICA_SETS, a_replica_set(1, "web:2"))]
    api = FakeApi((ROLLOUTS, a_rollout()), *history)

    assert await undo_rollout(api, "web", 0) == "skipped rollback (current template already matches revision 1)"
    assert api.writes == []


async def test_undo_goes_to_the_workload_that_the_rollout_refers_to() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "source"}
    deployment = {"metadata": {"name": "source"}, "spec": {"template": pod("web:2")}}
    history = [(REPLICA_SETS, a_replica_set(2, "web:2")), (REPLICA_SETS, a_replica_set(1, "web:1"))]
    api = FakeApi((ROLLOUTS, a_rollout(workloadRef=reference)), (DEPLOYMENTS, deployment), *history)

    assert await undo_rollout(api, "web", 0) == "rollout 'web' undo"
    assert api.raw(DEPLOYMENTS, "source")["spec"]["template"] == pod("web:1")


async def test_set_image_keeps_every_other_field() -> None:
    api = FakeApi((ROLLOUTS, a_rollout()))

    assert await set_images(api, "web", {"web": "web:3"}) == 'rollout "web" image updated'
    assert api.raw(ROLLOUTS, "web")["spec"] == {**a_rollout()["spec"], "template": pod("web:3")}


async def test_set_image_tries_again_when_others_write_first_and_gives_up_after_five_times() -> None:
    patient = FakeApi((ROLLOUTS, a_rollout()), rivals=4)
    hopeless = FakeApi((ROLLOUTS, a_rollout()), rivals=5)

    assert await set_images(patient, "web", {"*": "web:3"}) == 'rollout "web" image updated'
    with pytest.raises(ConflictError, match="the object has been modified"):
        await set_images(hopeless, "web", {"*": "web:3"})


async def test_set_image_goes_to_the_deployment_and_to_no_other_workload() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "source"}
    deployment = {"metadata": {"name": "source"}, "spec": {"template": pod("web:2")}}
    api = FakeApi((ROLLOUTS, a_rollout(workloadRef=reference)), (DEPLOYMENTS, deployment))
    other = FakeApi((ROLLOUTS, a_rollout(workloadRef={**reference, "kind": "ReplicaSet"})))

    assert await set_images(api, "web", {"web": "web:3"}) == 'deployment "source" image updated'
    assert api.raw(DEPLOYMENTS, "source")["spec"]["template"] == pod("web:3")
    with pytest.raises(RefusedError, match="wanted Deployment"):
        await set_images(other, "web", {"web": "web:3"})
