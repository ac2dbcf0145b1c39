"""Does a blue-green update wait until the load balancer knows the pods behind its active Service? (Traffic-routing reference 4.2.7)"""

from typing import Any

import pytest

from alb_cloud import Cloud, plain_ingress
from inprocess import InProcessController
from scenarios import ACTIVE_SERVICE, ROLLOUT, SERVICE, blue_green_app, template
from tiphys.api import names
from tiphys.api.crds import crd_manifests
from tiphys.api.status import RolloutStatus
from tiphys.controller.inquiries import AskError
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.kinds import REPLICA_SETS
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.settings import Settings


def at_rest(*, on: bool = True, behind: str = ACTIVE_SERVICE, **given: Any) -> tuple[InProcessController, Cloud]:  # noqa: ANN401 - see `blue_green_app`
    """Give a controller that may ask AWS, with a Rollout `web` at rest on its first version, and an Ingress that leads to *behind*."""
    cluster = VirtualCluster(definitions=crd_manifests())
    cloud = Cloud(cluster)
    controller = InProcessController(cluster, decide=decide, gate=violated, routers=Settings(verify_target_groups=on), product=cloud)
    cluster.join(controller)
    for manifest in (plain_ingress(behind), *blue_green_app(**given)):
        controller.create(manifest)
    cluster.advance(60)
    assert controller.rollout().status.phase == "Healthy"
    assert cloud.asks == 0, "a first version has nobody to wait for"
    controller.told.events.clear()
    return controller, cloud


def update(controller: InProcessController, *, seconds: float) -> RolloutStatus:
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(seconds)
    return controller.rollout().status


def selected(controller: InProcessController) -> str:
    selector: dict[str, str] = controller.manifest(SERVICE, ACTIVE_SERVICE)["spec"]["selector"]
    return selector[names.HASH_LABEL]


def sizes(controller: InProcessController) -> list[int]:
    found = controller.cluster.store.scan(REPLICA_SETS, namespace="default")
    return sorted(stored.manifest["spec"]["replicas"] for stored in found)


def told(controller: InProcessController, reason: str) -> list[str]:
    return [message for _, told_reason, message in controller.told.events if told_reason == reason]


@pytest.mark.one_life("how often one process asks")
def test_the_old_pods_stay_until_every_new_address_is_registered() -> None:
    controller, cloud = at_rest()
    cloud.deaf = True

    held = update(controller, seconds=300)
    pods = sizes(controller)

    assert selected(controller) == held.current_pod_hash != held.stable_rs
    assert (held.phase, pods) == ("Progressing", [3, 3])
    (said,) = told(controller, "TargetGroupUnverified")
    assert said.startswith(
        f"Ingress default/shop: shop-{ACTIVE_SERVICE} knows 0 of 3 ready addresses of the Service {ACTIVE_SERVICE}, and not"
    )
    asks = cloud.asks
    controller.cluster.advance(100)
    assert 5 <= cloud.asks - asks <= 15, "every ten seconds or so"

    cloud.deaf = False
    controller.cluster.advance(15)
    known = controller.rollout().status
    assert known.stable_rs == known.current_pod_hash
    assert sizes(controller) == [3, 3], "their delay begins only now"
    controller.cluster.advance(60)
    assert (controller.rollout().status.phase, sizes(controller)) == ("Healthy", [0, 3])
    assert len(told(controller, "TargetGroupVerified")) == 1


def test_at_rest_nobody_is_asked_not_even_by_a_new_process() -> None:
    controller, cloud = at_rest()
    assert update(controller, seconds=120).phase == "Healthy"
    asks = cloud.asks
    assert asks

    controller.restart()
    controller.cluster.advance(3600)

    assert cloud.asks == asks


def test_a_load_balancer_that_never_knows_them_ends_at_the_deadline_and_the_way_back_waits_for_nobody() -> None:
    controller, cloud = at_rest(spec={"progressDeadlineSeconds": 120, "progressDeadlineAbort": True})
    first = selected(controller)
    cloud.deaf = True

    moved = update(controller, seconds=30)
    assert selected(controller) == moved.current_pod_hash != first
    controller.cluster.advance(120)

    ended = controller.rollout().status
    assert (ended.abort, ended.phase, selected(controller)) == (True, "Degraded", first)
    assert f"shop-{ACTIVE_SERVICE} knows 0 of 3" in ended.message


def test_an_aws_that_does_not_answer_holds_the_old_pods_and_is_told() -> None:
    controller, cloud = at_rest()
    cloud.ill = AskError("AccessDenied: not authorized")

    assert update(controller, seconds=200).phase == "Progressing"

    assert sizes(controller) == [3, 3]
    assert told(controller, "TargetGroupVerifyError") == ["elbv2: AccessDenied: not authorized"]


def test_a_pod_that_comes_later_keeps_the_old_ones_a_little_longer() -> None:
    controller, cloud = at_rest(scaleDownDelaySeconds=60)
    update(controller, seconds=40)
    assert controller.rollout().status.stable_rs == controller.rollout().status.current_pod_hash
    cloud.deaf = True

    for pod in controller.cluster.pods({names.HASH_LABEL: selected(controller)})[:1]:
        controller.delete(("", "Pod"), pod["metadata"]["name"])
    controller.cluster.advance(300)
    late = sizes(controller)
    cloud.deaf = False
    controller.cluster.advance(60)

    assert (late, sizes(controller)) == ([3, 3], [0, 3])


def test_an_ingress_that_leads_elsewhere_and_a_flag_that_is_off_ask_nobody() -> None:
    for controller, cloud in (at_rest(behind="web-other"), at_rest(on=False)):
        assert update(controller, seconds=120).phase == "Healthy"
        assert cloud.asks == 0
