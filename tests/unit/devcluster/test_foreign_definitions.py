"""Do our small definitions say of the products' kinds what the products' own definitions say?"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

REAL = Path(__file__).parents[4] / "shared" / "crds"
OURS = {each["metadata"]["name"]: each for each in foreign_definitions()}


def real_definitions() -> dict[str, dict[str, Any]]:
    found = (each for path in REAL.rglob("*.yaml") for each in yaml.load_all(path.read_text(), yaml.CSafeLoader))
    return {each["metadata"]["name"]: each for each in found if each and each.get("kind") == "CustomResourceDefinition"}


def subresources(definition: dict[str, Any], version: str) -> set[str]:
    return next(set(each.get("subresources") or {}) for each in definition["spec"]["versions"] if each["name"] == version)


@pytest.mark.skipif(not REAL.exists(), reason="the real definitions lie beside this repository and are not there")
def test_names_scope_versions_and_subresources_are_the_real_ones() -> None:
    real = {name: each for name, each in real_definitions().items() if name in OURS}

    assert len(real) >= 25
    for name, definition in real.items():
        ours, theirs = OURS[name]["spec"], definition["spec"]
        assert ours["group"] == theirs["group"]
        assert ours["scope"] == theirs["scope"], name
        assert {key: ours["names"][key] for key in ("kind", "plural", "singular")} == {
            key: theirs["names"][key] for key in ("kind", "plural", "singular")
        }
        assert sorted(ours["names"].get("shortNames") or []) == sorted(theirs["names"].get("shortNames") or []), name
        served = {each["name"] for each in theirs["versions"] if each["served"]}
        assert served <= {each["name"] for each in ours["versions"] if each["served"]}, name
        storage = {each["name"] for each in theirs["versions"] if each["storage"]}
        assert storage == {each["name"] for each in ours["versions"] if each["storage"]}, name
        for version in served:
            assert subresources(OURS[name], version) == subresources(definition, version), (name, version)


def test_every_definition_can_be_installed_and_its_kind_used() -> None:
    cluster = VirtualCluster(definitions=OURS.values())
    virtual_services = cluster.store.registry.resource("networking.istio.io", "v1beta1", "virtualservices")

    assert virtual_services is not None
    cluster.store.create(
        virtual_services, {"metadata": {"name": "web"}, "spec": {"hosts": ["web"], "anything": [1, {"a": None}]}}, namespace="default"
    )
    newer = cluster.store.registry.resource("networking.istio.io", "v1", "virtualservices")
    assert newer is not None
    assert cluster.store.get(newer, "web", namespace="default")["apiVersion"] == "networking.istio.io/v1"
    assert {name for name in OURS if cluster.store.registry.resource(*_path(OURS[name])) is None} == set()


def _path(definition: dict[str, Any]) -> tuple[str, str, str]:
    spec = definition["spec"]
    version = next(each["name"] for each in spec["versions"] if each["storage"])
    return spec["group"], version, spec["names"]["plural"]
