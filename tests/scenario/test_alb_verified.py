"""Does a canary wait until the load balancer does what its Ingress says, and what is told of that?"""

import pytest

from alb_cloud import ACCOUNT, PING_PONG, ROUTING, SERVICES, Cloud, action, ingress
from inprocess import InProcessController, rollout_manifest, service_manifest
from scenarios import CANARY_SERVICE, ROLLOUT, STABLE_SERVICE, template, weight
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.api.status import AwsResource, RolloutStatus
from tiphys.controller.inquiries import AskError
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.kinds import REPLICA_SETS
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.settings import Settings


def at_rest(*steps: Manifest, routing: Manifest | None = None, on: bool = True, **services: object) -> tuple[InProcessController, Cloud]:
    """Give a controller that asks AWS, with a Rollout `web` at rest on its first version."""
    cluster = VirtualCluster(definitions=crd_manifests())
    cloud = Cloud(cluster)
    settings = Settings(verify_target_groups=on)
    controller = InProcessController(cluster, decide=decide, gate=violated, routers=settings, product=cloud)
    cluster.join(controller)
    for manifest in (service_manifest(STABLE_SERVICE), service_manifest(CANARY_SERVICE), ingress(), ingress("inside")):
        controller.create(manifest)
    rollout = rollout_manifest("web", *steps, istio=False, trafficRouting=routing or ROUTING, **(services or SERVICES))
    rollout["spec"]["template"] = template("1")
    controller.create(rollout)
    cluster.advance(60)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    return controller, cloud


def replica_sets(controller: InProcessController) -> list[Manifest]:
    return [each.manifest for each in controller.cluster.store.scan(REPLICA_SETS, namespace="default")]


def verified(controller: InProcessController) -> bool | None:
    weights = controller.rollout().status.canary.weights
    return None if weights is None else weights.verified


def told(controller: InProcessController, *reasons: str) -> list[tuple[str, str]]:
    return [(reason, message) for _, reason, message in controller.told.events if reason in reasons]


def named(group: AwsResource | None) -> str:
    return "" if group is None else group.name


def sides(status: RolloutStatus) -> list[tuple[str, str, str]]:
    """Give the Ingress and the target groups' names of each entry of the status."""
    return [(each.ingress, named(each.canary_target_group), named(each.stable_target_group)) for each in status.albs]


@pytest.mark.one_life("how often one process asks")
def test_an_update_goes_through_once_the_load_balancer_follows_each_weight() -> None:
    controller, _ = at_rest(weight(20), weight(60))

    controller.cluster.advance(900)

    status = controller.rollout().status
    assert (status.phase, status.stable_rs == status.current_pod_hash, verified(controller)) == ("Healthy", True, True)
    weights = [message.rpartition("web-canary ")[2].partition(",")[0] for _, message in told(controller, "TargetGroupVerified")]
    assert [each for each in weights if each in {"20", "60", "100"}] == ["20", "60", "100"], weights
    arn = f"{ACCOUNT}:loadbalancer/app/shop/50dc"
    assert status.alb is not None
    assert status.alb.load_balancer is not None
    assert (status.alb.load_balancer.arn, status.alb.load_balancer.full_name) == (arn, "shop/50dc")
    assert sides(status) == [("shop", "shop-web-canary", "shop-web-stable")]
    patched = [message.removeprefix("Updating Ingress `shop` to desiredWeight ") for _, message in told(controller, "PatchingALBIngress")]
    assert patched == ["'0'", "'20'", "'60'", "'100'", "'0'"], "one event for each change"


def test_a_load_balancer_that_stands_still_holds_the_step_and_is_told_once() -> None:
    controller, cloud = at_rest(weight(20), weight(60))
    cloud.frozen.add("shop")

    controller.cluster.advance(300)

    assert (action(controller)[CANARY_SERVICE], controller.rollout().status.current_step_index, verified(controller)) == (20, 0, False)
    (event,) = told(controller, "TargetGroupUnverified")
    assert event[1] == "Ingress default/shop: rule 1 gives web-canary 0, web-stable 100, and web-canary 20, web-stable 80 is wanted"
    asks = cloud.asks
    controller.cluster.advance(100)
    assert 5 <= cloud.asks - asks <= 15, "every ten seconds or so"

    cloud.frozen.clear()
    controller.cluster.advance(900)
    assert controller.rollout().status.phase == "Healthy"


def test_pods_that_the_load_balancer_does_not_know_keep_the_old_version_alive() -> None:
    controller, cloud = at_rest(weight(50))
    controller.cluster.advance(1)
    before = {each["metadata"]["name"]: each["spec"]["replicas"] for each in replica_sets(controller)}
    cloud.deaf = True

    controller.cluster.advance(300)

    assert controller.rollout().status.current_step_index == 0
    assert any("knows 0 of" in message for _, message in told(controller, "TargetGroupUnverified"))
    after = {each["metadata"]["name"]: each["spec"]["replicas"] for each in replica_sets(controller)}
    assert all(after[name] == count for name, count in before.items())

    cloud.deaf = False
    controller.cluster.advance(900)
    assert controller.rollout().status.phase == "Healthy"


@pytest.mark.one_life("what one process was answered")
def test_all_ingresses_have_to_follow() -> None:
    both = {**ROUTING, "alb": {**ROUTING["alb"], "ingress": "", "ingresses": ["shop", "inside"]}}
    controller, cloud = at_rest(weight(20), {"pause": {}}, routing=both)
    cloud.frozen.add("inside")
    controller.cluster.advance(120)
    held = controller.rollout().status

    cloud.frozen.clear()
    controller.cluster.advance(120)

    assert (held.current_step_index, held.phase) == (0, "Progressing")
    assert [each.ingress for each in held.albs] == ["shop", "inside"]
    assert held.alb == held.albs[-1]
    assert (controller.rollout().status.current_step_index, controller.rollout().status.phase) == (1, "Paused")


def test_a_promotion_with_ping_pong_exchanges_the_target_groups_in_the_status() -> None:
    controller, _ = at_rest(weight(20), {"pause": {"duration": "60s"}}, **PING_PONG)
    controller.cluster.advance(40)
    before = sides(controller.rollout().status)

    controller.cluster.advance(600)

    assert before == [("shop", "shop-web-stable", "shop-web-canary")]
    assert controller.rollout().status.phase == "Healthy"
    assert sides(controller.rollout().status) == [("shop", "shop-web-canary", "shop-web-stable")]


def test_an_aws_that_does_not_answer_is_told_and_holds_no_way_back() -> None:
    controller, cloud = at_rest(weight(20), weight(60))
    controller.cluster.settle(lambda: action(controller)[CANARY_SERVICE] == 20)
    cloud.ill = AskError("AccessDenied: not authorized")
    controller.cluster.advance(120)
    held = (action(controller)[CANARY_SERVICE], controller.rollout().status.current_step_index)

    controller.edit(ROLLOUT, "web", {"status": {"abort": True}}, subresource="status")
    controller.cluster.advance(5)

    assert held == (20, 0)
    assert [message for _, message in told(controller, "TargetGroupVerifyError")][:1] == ["elbv2: AccessDenied: not authorized"]
    assert action(controller) == {CANARY_SERVICE: 0, STABLE_SERVICE: 100}


def test_nobody_is_asked_without_the_flag() -> None:
    controller, cloud = at_rest(weight(20), on=False)

    controller.cluster.advance(300)

    assert cloud.asks == 0
    assert (controller.rollout().status.phase, verified(controller), controller.rollout().status.albs) == ("Healthy", None, ())
