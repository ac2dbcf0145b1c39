"""Are the annotations of Ingresses read as the AWS Load Balancer Controller and its load balancer read them?"""

import json
from typing import Any

import pytest

from devcluster_objects import Manifest, service
from envoy_reader import shares
from plane_objects import HOST, alb_path, forward, header_condition, ingress
from tiphys.devcluster.proxies.builder import SERVICES, ProxyConfig
from tiphys.devcluster.proxies.planes import translate

TO_CANARY = {"beta": forward(canary=100), "root": forward(stable=100)}


def alb(*ingresses: Manifest) -> ProxyConfig:
    services = [service(name) for name in ("stable", "canary", "third")]
    return translate(["alb"], {SERVICES: services, ("networking.k8s.io", "ingresses"): ingresses})


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"canary": 20, "stable": 80}, {"stable": 80, "canary": 20}),
        ({"canary": 0, "stable": 100}, {"stable": 100}),
        ({"canary": 20, "third": 10, "stable": 70}, {"stable": 70, "canary": 20, "third": 10}),
        ({"canary": 100}, {"canary": 100}),
    ],
)
def test_a_forward_action_splits_by_relative_weight(weights: dict[str, int], wanted: dict[str, float]) -> None:
    config = alb(ingress(alb_path("root"), actions={"root": forward(**weights)}))

    assert shares(config, HOST) == wanted
    assert config.problems == ()


@pytest.mark.parametrize("port", ["80", 80, "http"])
def test_keys_may_have_any_case_and_ports_any_form(port: object) -> None:
    group = {"serviceName": "canary", "servicePort": port}
    text = json.dumps({"type": "forward", "forwardConfig": {"targetGroups": [group]}})

    assert shares(alb(ingress(alb_path("root"), actions={"root": text})), HOST) == {"canary": 100}


@pytest.mark.parametrize(
    ("conditions", "request_", "fits"),
    [
        ([header_condition("x-beta", values=["1", "2"])], {"x_beta": "2"}, True),
        ([header_condition("X-Beta", values=["1"])], {"x_beta": "11"}, False),
        ([header_condition("x-beta", values=["1"])], {}, False),
        ([header_condition("x-tier", values=["Gold"])], {"x_tier": "gOLD"}, True),
        ([header_condition("x-agent", values=["QA/1.*"])], {"x_agent": "QA/1.5"}, True),
        ([header_condition("x-agent", values=["QA/?.5"])], {"x_agent": "QA/1.5"}, True),
        ([header_condition("x-agent", values=["a.b"])], {"x_agent": "axb"}, False),
        ([header_condition("x-agent", regexValues=["^QA/[0-9]$", "^x"])], {"x_agent": "QA/7"}, True),
        ([header_condition("x-agent", regexValues=["^QA/[0-9]$"])], {"x_agent": "QA/77"}, False),
        ([header_condition("x-beta", values=["1"]), header_condition("x-two", values=["2"])], {"x_beta": "1"}, False),
        ([header_condition("x-beta", values=["1"]), header_condition("x-two", values=["2"])], {"x_beta": "1", "x_two": "2"}, True),
        ([{"field": "http-request-method", "httpRequestMethodConfig": {"values": ["PUT"]}}], {"method": "PUT"}, True),
        ([{"field": "path-pattern", "pathPatternConfig": {"values": ["/x"]}}], {"path": "/y"}, True),
        ([{"field": "query-string", "queryStringConfig": {"values": [{"key": "v", "value": "2"}]}}], {"path": "/?v=2"}, True),
        ([{"field": "query-string", "queryStringConfig": {"values": [{"key": "v", "value": "2"}]}}], {"path": "/?v=3"}, False),
    ],
)
def test_conditions_hold_together_and_values_are_alternatives(conditions: list[Manifest], request_: dict[str, str], *, fits: bool) -> None:
    config = alb(ingress(alb_path("beta"), alb_path("root"), actions=TO_CANARY, conditions={"beta": conditions}))

    assert shares(config, HOST, **request_) == {"canary" if fits else "stable": 100}
    assert config.problems == ()


@pytest.mark.parametrize(
    ("paths", "asked", "wanted"),
    [
        ([alb_path("root"), alb_path("beta")], "/", "stable"),
        ([alb_path("beta"), alb_path("root")], "/", "canary"),
        ([alb_path("root"), alb_path("beta", path="/api")], "/api/x", "canary"),
        ([alb_path("root"), alb_path("beta", path="/api")], "/apis", "stable"),
        ([alb_path("root"), alb_path("beta", path="/api", path_type="Exact")], "/api", "canary"),
        ([alb_path("root"), alb_path("beta", path="/api", path_type="Exact")], "/api/x", "stable"),
        # The controller puts prefixes before what is implementation-specific, wherever it stands in the Ingress.
        ([alb_path("beta", path="/*", path_type="ImplementationSpecific"), alb_path("root")], "/", "stable"),
        ([alb_path("beta", path="/a?c", path_type="ImplementationSpecific")], "/abc", "canary"),
    ],
)
def test_paths_are_sorted_by_their_type(paths: list[Manifest], asked: str, wanted: str) -> None:
    config = alb(ingress(*paths, actions=TO_CANARY))

    assert shares(config, HOST, asked) == {wanted: 100}


def test_a_service_may_be_named_without_an_annotation_and_have_conditions() -> None:
    beta = alb_path("canary", port={"number": 80})
    paths = [beta, alb_path("stable", port={"name": "http"})]
    config = alb(ingress(*paths, conditions={"canary": [header_condition("x-beta", values=["1"])]}))

    assert shares(config, HOST, x_beta="1") == {"canary": 100}
    assert shares(config, HOST) == {"stable": 100}


def test_without_a_host_every_name_enters_and_each_ingress_has_one_of_its_own() -> None:
    one = ingress(alb_path("root"), name="one", host=None, actions={"root": forward(stable=1)})
    two = ingress(alb_path("root"), name="two", host=None, actions={"root": forward(canary=1)})
    config = alb(two, one)

    assert shares(config, "alb") == {"stable": 100}
    assert shares(config, "one.default.alb") == {"stable": 100}
    assert shares(config, "two.default.alb") == {"canary": 100}
    assert shares(config, "third") == {"third": 100}


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ({}, "Ingress default/web: actions.root: there is no such annotation; requests for root are answered with 503"),
        ({"root": forward(gone=1, stable=99)}, "no Service default/gone"),
        ({"root": forward(stable=0, canary=0)}, "actions.root: all weights are 0"),
        (
            {"root": '{"type": "forward", "forwardConfig": {"targetGroups": [{"serviceName": "stable", "servicePort": 81}]}}'},
            "has no port 81",
        ),
    ],
)
def test_requests_for_what_is_not_there_are_answered_with_503(actions: dict[str, str], said: str) -> None:
    config = alb(ingress(alb_path("root"), actions=actions))

    assert shares(config, HOST) == {"503": 100}
    assert any(said in problem for problem in config.problems), config.problems


def _conditions(*listed: Manifest) -> dict[str, Any]:
    return {"actions": TO_CANARY, "conditions": {"beta": list(listed)}}


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"actions": {"beta": "{"}}, "actions.beta: no valid JSON"),
        ({"actions": {"beta": "[]"}}, "actions.beta: found '[]', wanted an object"),
        ({"actions": {"beta": '{"type": "redirect"}'}}, "actions.beta: type: found 'redirect', wanted forward"),
        ({"actions": {"beta": '{"type": "forward"}'}}, "targetGroups: found 0, wanted 1 to 5"),
        ({"actions": {"beta": forward(stable=1000)}}, "weight: found 1000, wanted 0 to 999"),
        ({"actions": TO_CANARY, "conditions": {"beta": "{}"}}, "conditions.beta: found '{}', wanted a list"),
        (_conditions({"field": "header"}), "conditions: field: found 'header'"),
        (_conditions(header_condition("x-beta")), "with either values or regexValues"),
        (_conditions(header_condition("x-beta", values=["1"], regexValues=["1"])), "with either values or regexValues"),
        (_conditions(header_condition("x-beta", values=list("1234"))), "found 4 values in one condition, wanted at most 3"),
        (_conditions(*[header_condition(f"x-{name}", values=list("12")) for name in "ab"]), "found 6 values in one rule, wanted at most 5"),
        (_conditions(header_condition("x-beta", regexValues=["(("])), "'((' is not a regular expression"),
    ],
)
def test_a_mistake_leaves_the_ingress_out_as_a_whole(annotations: dict[str, Any], said: str) -> None:
    config = alb(ingress(alb_path("beta"), alb_path("root"), **annotations), ingress(alb_path("stable", port={"number": 80}), name="z"))

    assert shares(config, HOST) == {"stable": 100}
    (problem,) = config.problems
    assert problem.startswith("Ingress default/web is left out: ")
    assert said in problem


def test_conditions_that_are_not_emulated_leave_their_rule_out() -> None:
    source = {"field": "source-ip", "sourceIpConfig": {"values": ["10.0.0.0/8"]}}
    config = alb(ingress(alb_path("beta"), alb_path("root"), actions=TO_CANARY, conditions={"beta": [source]}))

    assert shares(config, HOST) == {"stable": 100}
    assert config.problems == ("Ingress default/web: the rule of beta is left out: source-ip conditions are not emulated",)


def test_fixed_answers_are_given_and_stickiness_is_told() -> None:
    fixed = json.dumps({"type": "fixed-response", "fixedResponseConfig": {"statusCode": "418", "messageBody": "tea"}})
    sticky = json.loads(forward(stable=1))
    sticky["ForwardConfig"]["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": 60}
    config = alb(ingress(alb_path("tea", path="/tea"), alb_path("root"), actions={"tea": fixed, "root": json.dumps(sticky)}))

    assert shares(config, HOST, "/tea") == {"418": 100}
    assert config.problems == ("Ingress default/web: actions.root: stickiness is not emulated",)


@pytest.mark.parametrize(("given", "read"), [("alb", True), (None, True), ("nginx", False)])
def test_the_class_decides_whose_an_ingress_is(given: str | None, *, read: bool) -> None:
    manifest = ingress(alb_path("root"), actions={"root": forward(canary=1)})
    manifest["spec"]["ingressClassName"] = given

    assert shares(alb(manifest), HOST) == ({"canary": 100} if read else {"404": 100})
