from typing import Any

import msgspec
import pytest

from builders import canary, rollout, service
from tiphys.api import names
from tiphys.api.rollout import BlueGreenStrategy, CanaryStrategy, PingPong, ReplicaProgressThreshold, Rollout, Strategy, WorkloadRef
from tiphys.api.validation import reference_problems, spec_problems, spec_warnings

LABELS = {"app": "web"}
ROUTED = canary({"setWeight": 20}, routing={"istio": {"virtualService": {"name": "web"}}})


def test_services_that_fit_are_no_problem() -> None:
    services = {name: service(name, pod_hash="abc") for name in ("web-stable", "web-canary")}

    assert reference_problems(rollout(strategy=ROUTED), LABELS, services) == ()


@pytest.mark.parametrize(
    ("services", "wanted"),
    [
        (
            [service("web-stable")],
            [
                'spec.strategy.canary.canaryService: Invalid value: "web-canary": '
                'must be a Service in namespace "default", and none has that name'
            ],
        ),
        (
            [service("web-stable", selector={"app": "web", "tier": "1"}), service("web-canary")],
            [
                'spec.strategy.canary.stableService: Invalid value: "web-stable": '
                "must be a Service that selects the pod template, and its selector has tier=1"
            ],
        ),
        (
            [service("web-stable"), service("web-canary", annotations={names.MANAGED_BY: "shop"})],
            [
                'spec.strategy.canary.canaryService: Invalid value: "web-canary": '
                'must be a Service of this Rollout, and it belongs to the Rollout "shop"'
            ],
        ),
        ([service("web-stable"), service("web-canary", annotations={names.MANAGED_BY: "web"})], []),
    ],
)
def test_services_that_do_not_fit_are_named(services: list[Any], wanted: list[str]) -> None:
    there = {one.metadata.name: one for one in services}

    assert [str(problem) for problem in reference_problems(rollout(strategy=ROUTED), LABELS, there)] == wanted


@pytest.mark.parametrize(
    ("strategy", "fields"),
    [
        (CanaryStrategy(), []),
        (
            CanaryStrategy(stable_service="a", ping_pong=PingPong(ping_service="b", pong_service="c")),
            ["canary.stableService", "canary.pingPong.pingService", "canary.pingPong.pongService"],
        ),
        (
            Strategy(blue_green=BlueGreenStrategy(active_service="a", preview_service="b")),
            ["blueGreen.activeService", "blueGreen.previewService"],
        ),
    ],
)
def test_every_service_that_is_named_must_exist(strategy: CanaryStrategy | Strategy, fields: list[str]) -> None:
    found = reference_problems(rollout(strategy=strategy), LABELS, {})

    assert [problem.field for problem in found] == [f"spec.strategy.{field}" for field in fields]


def routed(*steps: dict[str, Any], managed: tuple[str, ...] = ("a", "b"), **fields: Any) -> Rollout:  # noqa: ANN401 - fields of the strategy
    routing = {"istio": {"virtualService": {"name": "web"}}, "managedRoutes": [{"name": name} for name in managed]}
    return rollout(strategy=canary(*steps, routing=routing, **fields))


HEADER = {"name": "a", "match": [{"headerName": "x", "headerValue": {"exact": "y"}}]}


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (routed(scale_down_delay_seconds=-1), ["spec.strategy.scaleDownDelaySeconds: Invalid value: -1: must be 0 or more"]),
        (routed(min_pods_per_replica_set=-1), ["spec.strategy.minPodsPerReplicaSet: Invalid value: -1: must be 0 or more"]),
        (
            routed(scale_down_delay_revision_limit=11),
            ["spec.strategy.scaleDownDelayRevisionLimit: Invalid value: 11: has no effect beyond revisionHistoryLimit (10)"],
        ),
        (
            routed(replica_progress_threshold=ReplicaProgressThreshold(type="Some", value=-1)),
            [
                'spec.strategy.replicaProgressThreshold.type: Invalid value: "Some": must be one of Percent, Pods',
                "spec.strategy.replicaProgressThreshold.value: Invalid value: -1: must be 0 to 100 percent, or 0 or more pods",
            ],
        ),
        (
            routed({"setCanaryScale": {"replicas": -1, "weight": 101}}),
            [
                "spec.strategy.steps[0].setCanaryScale.replicas: Invalid value: -1: must be 0 or more",
                "spec.strategy.steps[0].setCanaryScale.weight: Invalid value: 101: must be 0 to 100 percent of spec.replicas",
                'spec.strategy.steps[0].setCanaryScale: Invalid value: "replicas, weight": '
                "must have one of them; the first listed here wins",
            ],
        ),
        (
            routed({"setCanaryScale": {"replicas": 1}, "setHeaderRoute": HEADER}),
            [
                'spec.strategy.steps[0]: Invalid value: "setCanaryScale, setHeaderRoute": '
                "is complete only when every key is; one key in a step is clearer"
            ],
        ),
        (
            routed({"setHeaderRoute": {"name": "a"}}),
            ['spec.strategy.steps[0].setHeaderRoute: Invalid value: "a": removes a route, for lack of a match, that no earlier step sets'],
        ),
        (
            rollout({"experiment": {"templates": [{"name": "x", "specRef": "canary"}], "duration": "long"}}),
            ['spec.strategy.steps[0].experiment.duration: Invalid value: "long": must be a duration such as 90s or 1h30m'],
        ),
        (
            rollout(
                strategy=Strategy(blue_green=BlueGreenStrategy(active_service="a", preview_replica_count=-1, auto_promotion_seconds=-2))
            ),
            [
                "spec.strategy.previewReplicaCount: Invalid value: -1: must be 0 or more",
                "spec.strategy.autoPromotionSeconds: Invalid value: -2: must be 0 or more",
            ],
        ),
        (
            rollout(workload_ref=WorkloadRef(kind="Deployment", name="web", scale_down="sometimes"), pod_template=msgspec.Raw()),
            ['spec.workloadRef.scaleDown: Invalid value: "sometimes": means never; must be one of never, onsuccess, progressively'],
        ),
    ],
)
def test_what_old_manifests_may_say_is_a_warning_and_no_problem(there: Rollout, wanted: list[str]) -> None:
    assert [str(warning) for warning in spec_warnings(there)] == wanted
    assert spec_problems(there) == ()


def test_a_good_spec_has_no_warnings() -> None:
    assert spec_warnings(routed({"setCanaryScale": {"replicas": 1}}, {"setHeaderRoute": HEADER}, {"setHeaderRoute": {"name": "a"}})) == ()


def probed(requests: int, *weights: int) -> Rollout:
    probe = {"url": "http://shop.example/", "hashHeader": "x-pod-hash", "requests": requests}
    routing = {"istio": {"virtualService": {"name": "web"}}, "verification": {"probe": probe}}
    return rollout(strategy=canary(*weights, routing=routing))


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (probed(100, 20, 50), []),
        (probed(100, 0, 100), []),
        (probed(100, 5, 50), ["305 or more to tell a share of 5 in 100 from none"]),
        (probed(305, 5, 50), []),
        (probed(100, 50, 95), ["305 or more to tell a share of 5 in 100 from none"]),
        (probed(100, 1), ["1000 or more to tell a share of 1 in 100 from none"]),
        (probed(1000, 1), []),
    ],
)
def test_a_probe_that_cannot_tell_the_smallest_share_from_none(there: Rollout, wanted: list[str]) -> None:
    assert [warning.wanted for warning in spec_warnings(there)] == wanted
