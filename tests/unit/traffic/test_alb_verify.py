"""When does AWS confirm what an Ingress says?"""

from dataclasses import replace

import msgspec
import pytest

from router_setup import CANARY, STABLE, router_for
from routers_alb import ACTIONS, ALB_INGRESS, ALB_SPEC, CONDITIONS, alb_action, alb_ingress, alb_rollout
from tiphys.api.meta import Manifest
from tiphys.api.names import MANAGED_ALB_ANNOTATIONS
from tiphys.core.observed import Verification
from tiphys.traffic.alb import VerifiedAlbRouter
from tiphys.traffic.router import Asking, Confirmation, Placing, Ref
from tiphys.traffic.settings import Settings

DNS = "shop-1.eu-west-1.elb.amazonaws.com"
ARN = "arn:aws:elasticloadbalancing:eu-west-1:1:"
HEADERS = {
    f"{ACTIONS}first": alb_action(web_canary=100),
    f"{CONDITIONS}first": '[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x","values":["1"]}}]',
    MANAGED_ALB_ANNOTATIONS: f'{{"web":["{ACTIONS}web-stable","{ACTIONS}first","{CONDITIONS}first"]}}',
}


def asking(settings: Settings | None = None) -> VerifiedAlbRouter:
    router = router_for(alb_rollout(), settings or Settings(verify_target_groups=True))
    assert isinstance(router, VerifiedAlbRouter)
    return router


def found(annotations: dict[str, str] | None = None, *names: str, spec: str = ALB_SPEC, **weights: int) -> dict[Ref, Manifest]:
    """Give an Ingress that says *weights*, with a load balancer (or these)."""
    said = {f"{ACTIONS}{STABLE}": alb_action(sticky=0, port="80", **(weights or {"web_canary": 20, "web_stable": 80}))}
    ingress = alb_ingress(spec, {**said, **(annotations or {})})
    ingress["status"] = {"loadBalancer": {"ingress": [{"hostname": name} for name in names or (DNS,)]}}
    return {ALB_INGRESS: ingress}


def group(service: str, *addresses: str, tag: str = "ingress.k8s.aws/resource", kind: str = "ip", state: str = "healthy") -> Manifest:
    targets = [{"id": address, "port": 8080, "state": state} for address in addresses]
    arn = f"{ARN}targetgroup/k8s-{service}/73e2"
    tags = {tag: f"default/shop-{service}:80", "team": "shop"}
    return {"arn": arn, "fullName": "x", "name": f"k8s-{service}", "tags": tags, "targetType": kind, "targets": targets}


def answer(*rules: dict[str, int], groups: tuple[Manifest, ...] = (group(CANARY), group(STABLE))) -> dict[str, Manifest]:
    """Give what AWS says: *rules* have weights by Service."""
    listed = [
        {
            "listener": f"{ARN}listener/1",
            "priority": str(at),
            "targetGroups": {f"{ARN}targetgroup/k8s-{name}/73e2": weight for name, weight in rule.items()},
        }
        for at, rule in enumerate(rules, 1)
    ]
    balancer = {"name": "shop-1", "arn": f"{ARN}loadbalancer/app/shop-1/50dc", "fullName": "app/shop-1/50dc"}
    return {DNS: {"loadBalancer": balancer, "targetGroups": list(groups), "rules": listed}}


SPLIT = {CANARY: 20, STABLE: 80}
OTHER = {"other": 1}


def test_each_load_balancer_is_asked_about_once_by_its_name() -> None:
    rollout = alb_rollout({"ingress": "", "ingresses": ["shop", "shop-2", "gone"]})
    router = router_for(rollout, Settings(verify_target_groups=True))
    both = found(None, DNS.upper(), "other.example")
    both[replace(ALB_INGRESS, name="shop-2")] = found()[ALB_INGRESS]
    assert isinstance(router, Asking)

    asked = router.questions(both)

    assert [(question.key, question.via, question.request) for question in asked] == [
        ("other.example", "elbv2", {"hostname": "other.example"}),
        (DNS, "elbv2", {"hostname": DNS}),
    ]


def test_a_router_asks_and_places_only_where_the_operator_wants_it() -> None:
    assert isinstance(asking(), Placing)
    assert not isinstance(router_for(alb_rollout()), Asking)


@pytest.mark.parametrize(
    "rules",
    [
        (SPLIT,),
        (OTHER, SPLIT),
        (SPLIT, SPLIT),
    ],
)
def test_all_rules_that_split_have_to_have_the_weights(rules: tuple[dict[str, int], ...]) -> None:
    told = asking().confirmed(found(), answer(*rules))

    assert (told.verified, told.reason) == (Verification.YES, "TargetGroupVerified")
    assert told.detail == "Ingress default/shop: web-canary 20, web-stable 80"


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ((), "no rule splits the traffic"),
        ((OTHER,), "no rule splits the traffic"),
        (({CANARY: 10, STABLE: 90},), "rule 1 gives web-canary 10, web-stable 90"),
        ((SPLIT, {CANARY: 20, STABLE: 81}), "rule 2 gives web-canary 20, web-stable 81"),
        ((SPLIT, {STABLE: 1}), "rule 2 gives web-stable 1"),
        ((SPLIT, {CANARY: 100}), "rule 2 gives web-canary 100"),
        (({CANARY: 20, STABLE: 60, "other": 20},), f"rule 1 gives web-canary 20, web-stable 60, {ARN}targetgroup/k8s-other/73e2 20"),
    ],
)
def test_a_rule_that_splits_otherwise_is_told_with_both_weights(rules: tuple[dict[str, int], ...], problem: str) -> None:
    told = asking().confirmed(found(), answer(*rules))

    assert (told.verified, told.reason) == (Verification.NOT_YET, "TargetGroupUnverified")
    assert told.detail == f"Ingress default/shop: {problem}, and web-canary 20, web-stable 80 is wanted"


def test_header_routes_have_a_rule_of_their_own_and_are_waited_for() -> None:
    there = asking().confirmed(found(HEADERS), answer({CANARY: 100}, SPLIT))
    missing = asking().confirmed(found(HEADERS), answer(SPLIT))

    assert there.verified is Verification.YES
    assert (missing.verified, "no rule sends the header routes to web-canary" in missing.detail) == (Verification.NOT_YET, True)


def test_a_path_straight_to_one_of_the_services_is_no_split() -> None:
    straight = ALB_SPEC.replace("{service: {name: pages, port: {number: 80}}}", "{service: {name: web-canary, port: {number: 80}}}")

    told = asking().confirmed(found(spec=straight), answer(SPLIT, {CANARY: 1}))

    assert told.verified is Verification.YES


def test_experiments_have_their_weights_as_well() -> None:
    groups = (group(CANARY), group("exp-a"), group(STABLE))
    said = found(web_canary=20, exp_a=10, web_stable=70)

    right = asking().confirmed(said, answer({CANARY: 20, "exp-a": 10, STABLE: 70}, groups=groups))
    wrong = asking().confirmed(said, answer({CANARY: 20, "exp-a": 5, STABLE: 75}, groups=groups))

    assert (right.verified, wrong.verified) == (Verification.YES, Verification.NOT_YET)


def test_a_load_balancer_that_aws_does_not_know_and_one_that_is_not_there_yet_confirm_nothing() -> None:
    nobody: dict[str, Manifest] = {DNS: {"loadBalancer": None, "targetGroups": [], "rules": []}}
    bare = {ALB_INGRESS: {key: part for key, part in found()[ALB_INGRESS].items() if key != "status"}}

    gone, none = asking().confirmed(found(), nobody), asking().confirmed(bare, {})

    assert (gone.verified, gone.reason) == (Verification.NOT_YET, "LoadBalancerNotFound")
    assert (none.verified, none.detail) == (Verification.NOT_YET, "Ingress default/shop has no load balancer yet")
    assert asking().questions(bare) == []


@pytest.mark.parametrize("ruin", [None, 1, "x", [], [1], {}, {"loadBalancer": 1}, {"loadBalancer": {"ingress": [{"hostname": 1}, 2]}}])
@pytest.mark.parametrize("part", ["status", "metadata", "spec"])
def test_a_ruined_ingress_is_asked_about_no_further_and_crashes_nothing(part: str, ruin: object) -> None:
    ruined = {ALB_INGRESS: {**found()[ALB_INGRESS], part: ruin}}
    names = [question.key for question in asking().questions(ruined)]

    told = asking().confirmed(ruined, answer(SPLIT))

    assert names == ([] if part == "status" else [DNS])
    assert told.verified is not Verification.YES or (part == "spec" and told.detail.startswith("Ingress default/shop"))


def test_an_ingress_that_says_no_weights_yet_has_nothing_to_confirm() -> None:
    bare = found()
    del bare[ALB_INGRESS]["metadata"]["annotations"]

    assert asking().confirmed(bare, answer()).verified is Verification.CANNOT_KNOW


def test_a_target_group_is_found_by_the_tag_of_either_controller_or_by_the_operators() -> None:
    eks = tuple(group(name, tag="ingress.eks.amazonaws.com/resource") for name in (CANARY, STABLE))
    own = tuple(group(name, tag="shop/resource") for name in (CANARY, STABLE))
    asker = asking(Settings(verify_target_groups=True, alb_tag="shop/resource"))

    assert asking().confirmed(found(), answer(SPLIT, groups=eks)).verified is Verification.YES
    assert asker.confirmed(found(), answer(SPLIT, groups=own)).verified is Verification.YES
    assert (
        asking()
        .confirmed(found(), answer(SPLIT, groups=own))
        .detail.startswith("Ingress default/shop: there is no target group for the Service web-canary")
    )


def test_a_service_without_weight_needs_no_target_group() -> None:
    assert (
        asking().confirmed(found(web_canary=0, web_stable=100), answer({STABLE: 100}, groups=(group(STABLE),))).verified is Verification.YES
    )


def test_the_status_names_the_load_balancer_and_both_target_groups() -> None:
    (said,) = asking().confirmed(found(), answer(SPLIT)).balancers or ()

    assert msgspec.to_builtins(said) == {
        "ingress": "shop",
        "loadBalancer": {"name": "shop-1", "arn": f"{ARN}loadbalancer/app/shop-1/50dc", "fullName": "shop-1/50dc"},
        "canaryTargetGroup": {"name": "k8s-web-canary", "arn": f"{ARN}targetgroup/k8s-web-canary/73e2", "fullName": "k8s-web-canary/73e2"},
        "stableTargetGroup": {"name": "k8s-web-stable", "arn": f"{ARN}targetgroup/k8s-web-stable/73e2", "fullName": "k8s-web-stable/73e2"},
    }


# --- pods -----------------------------------------------------------------------------------------------------------------------


def placed(
    *groups: Manifest, annotations: dict[str, str] | None = None, weights: dict[str, int] | None = None, **serving: list[str]
) -> Confirmation:
    listed = {name.replace("_", "-"): frozenset(addresses) for name, addresses in serving.items()}
    return asking().placed(found(annotations, spec=ALB_SPEC, **(weights or {})), answer(SPLIT, groups=groups), listed)


def test_every_ready_address_has_to_be_a_target() -> None:
    groups = (group(CANARY, "10.0.0.1"), group(STABLE, "10.0.0.2", "10.0.0.3"))

    assert placed(*groups, web_canary=["10.0.0.1"], web_stable=["10.0.0.2"]).verified is Verification.YES
    told = placed(*groups, web_canary=["10.0.0.1"], web_stable=["10.0.0.2", "10.0.0.4"])
    assert (told.verified, told.reason) == (Verification.NOT_YET, "TargetGroupUnverified")
    assert told.detail == "Ingress default/shop: k8s-web-stable knows 1 of 2 ready addresses of the Service web-stable, and not 10.0.0.4"


@pytest.mark.parametrize(
    ("of_canary", "yes"),
    [
        (group(CANARY, "10.0.0.9", state="unhealthy"), True),
        (group(CANARY, "10.0.0.9", state="draining"), False),
        (group(CANARY, "i-1", kind="instance"), True),
        (group(CANARY), False),
    ],
)
def test_a_target_counts_in_any_state_but_on_its_way_out_and_only_addresses_are_judged(of_canary: Manifest, *, yes: bool) -> None:
    told = placed(of_canary, group(STABLE), web_canary=["10.0.0.9"])

    assert told.verified is (Verification.YES if yes else Verification.NOT_YET)


def test_of_two_address_families_the_target_group_has_one() -> None:
    assert placed(group(CANARY, "10.0.0.9"), group(STABLE), web_canary=["10.0.0.9", "fd00::9"]).verified is Verification.YES


def test_a_service_that_gets_nothing_is_not_waited_for_unless_a_header_route_leads_there() -> None:
    weights = {"web_canary": 0, "web_stable": 100}

    assert placed(group(CANARY), group(STABLE), weights=weights, web_canary=["10.0.0.9"]).verified is Verification.YES
    told = placed(group(CANARY), group(STABLE), weights=weights, annotations=HEADERS, web_canary=["10.0.0.9"])
    assert told.verified is Verification.NOT_YET
