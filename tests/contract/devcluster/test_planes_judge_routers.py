"""Do the products, as their documentation has them, act upon what our routers write in the way that was asked for?"""

from pathlib import Path

import pytest
import yaml

from devcluster_objects import Manifest, service
from envoy_reader import check, copies, shares
from tiphys.devcluster.proxies.builder import SERVICES, ProxyConfig
from tiphys.devcluster.proxies.planes import ENVOYS, translate

GOLDEN = Path(__file__).parents[2] / "golden" / "traffic"
KINDS = {
    "TrafficSplit": ("split.smi-spec.io", "trafficsplits"),
    "HTTPRouteGroup": ("specs.smi-spec.io", "httproutegroups"),
    "Mapping": ("getambassador.io", "mappings"),
    "ApisixRoute": ("apisix.apache.org", "apisixroutes"),
    "Ingress": ("networking.k8s.io", "ingresses"),
}
SPLIT = {"parcel-stable": 80.0, "parcel-canary": 20.0}
CANARY = {"parcel-canary": 100.0}


def written(product: str, case: str) -> ProxyConfig:
    """Read what the router wrote, in a cluster with the Services of the golden cases."""
    objects: list[Manifest] = yaml.safe_load((GOLDEN / product / f"{case}.out.yaml").read_text())["objects"]
    found: dict[tuple[str, str], list[Manifest]] = {SERVICES: []}
    for name in ("parcel", "parcel-stable", "parcel-canary", "pages"):
        made = service(name)
        made["metadata"]["namespace"] = "shop"
        found[SERVICES].append(made)
    for each in objects:
        if each["kind"] in KINDS:
            found.setdefault(KINDS[each["kind"]], []).append(each)
    config = translate([product], found)
    check(config)
    assert config.problems == ()
    return config


@pytest.mark.parametrize(
    ("product", "case", "host", "path"),
    [
        ("smi", "header-routes", "parcel.shop", "/"),
        ("ambassador", "weight", "ambassador", "/parcel/"),
        ("ambassador", "header", "ambassador", "/parcel/"),
        ("ambassador", "mirror", "ambassador", "/parcel/"),
        ("apisix", "header", "parcel.example", "/parcel/"),
        ("apisix", "mirror", "parcel.example", "/parcel/"),
        ("alb", "header-any-of", "parcel.example", "/"),
    ],
)
def test_the_weights_are_those_that_were_wished_for(product: str, case: str, host: str, path: str) -> None:
    assert shares(written(product, case), host, path) == SPLIT


@pytest.mark.parametrize(
    ("product", "case", "host", "path", "beta"),
    [
        ("smi", "header-routes", "parcel.shop", "/", "1.5"),
        ("ambassador", "header", "ambassador", "/parcel/", "1"),
        ("apisix", "header-any-of", "parcel.example", "/parcel/", "1"),
        ("alb", "header-any-of", "parcel.example", "/", "2"),
    ],
)
def test_header_routes_send_each_of_their_entries_to_the_canary(product: str, case: str, host: str, path: str, beta: str) -> None:
    config = written(product, case)

    assert shares(config, host, path, x_beta=beta) == CANARY
    assert shares(config, host, path, user_agent="QA/1.0 of today") == CANARY
    assert shares(config, host, path, x_beta=f"{beta}x", user_agent="not QA/1.0") == SPLIT


def test_mirrors_copy_their_percentage_and_leave_the_weights_alone() -> None:
    ambassador, apisix = written("ambassador", "mirror"), written("apisix", "mirror")

    assert copies(ambassador, "ambassador", "/parcel/") == {"parcel-canary": 25}
    assert copies(apisix, "parcel.example", "/parcel/api/x", x_copy="1") == {"parcel-canary": 25}
    assert shares(apisix, "parcel.example", "/parcel/api/x", x_copy="1") == SPLIT
    assert copies(apisix, "parcel.example", "/parcel/api/x") == {}
    assert copies(apisix, "parcel.example", "/parcel/api/x", x_copy="1", method="POST") == {}


def test_a_shadow_of_some_requests_has_a_group_of_its_own_with_the_weights_of_all() -> None:
    config = written("ambassador", "mirror-of-some")

    def asked(path: str, tier: str) -> tuple[dict[str, float], dict[str, float]]:
        return shares(config, "ambassador", path, x_tier=tier), copies(config, "ambassador", path, x_tier=tier)

    assert asked("/parcel/api/x", "go.1") == (SPLIT, {"parcel-canary": 25})
    assert asked("/parcel/api/x", "goo1") == asked("/parcel/x", "go.1") == (SPLIT, {})


@pytest.mark.parametrize("product", [name for name in ENVOYS if name != "istio" and (GOLDEN / name).is_dir()])
def test_nothing_that_a_router_writes_is_refused_as_malformed(product: str) -> None:
    for case in sorted((GOLDEN / product).glob("*.out.yaml")):
        golden = yaml.safe_load(case.read_text())
        objects = [] if golden.get("problems") else golden.get("objects") or []
        found: dict[tuple[str, str], list[Manifest]] = {}
        for each in objects:
            if each["kind"] in KINDS:
                found.setdefault(KINDS[each["kind"]], []).append(each)
        problems = [each for each in translate([product], found).problems if "left out" in each and "no Service" not in each]
        assert problems == [], case.name
