"""What is applied to a cluster is what the code says."""

from pathlib import Path

import pytest
import yaml

from routers import SETUPS, Setup
from tiphys.cli.crds import text
from tiphys.devcluster.foreign.table import FAMILIES
from tiphys.devcluster.kinds import INGRESSES
from tiphys.plugins.documents import GROUP
from tiphys.traffic.router import Making

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_the_definitions_are_those_of_the_types() -> None:
    assert (DEPLOY / "crds.yaml").read_text() == text(), "run `make crds`"


def test_every_manifest_is_yaml_with_a_kind() -> None:
    for file in sorted(DEPLOY.glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            assert {"apiVersion", "kind", "metadata"} <= manifest.keys(), file.name


def _rights() -> dict[tuple[str, str], set[str]]:
    """Give what the controller may do with each resource, by group and plural."""
    rights: dict[tuple[str, str], set[str]] = {}
    for manifest in yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text()):
        for rule in manifest["rules"] if manifest["kind"] == "ClusterRole" else ():
            for resource in ((group, plural) for group in rule["apiGroups"] for plural in rule["resources"]):
                rights.setdefault(resource, set()).update(rule["verbs"])
    return rights


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_the_controller_may_do_what_a_router_needs_and_creates(setup: Setup) -> None:
    plurals = {(family.group, kind): plural for family in FAMILIES for kind, plural in family.kinds.items()}
    plurals[INGRESSES.group, INGRESSES.kind] = INGRESSES.plural
    rights = _rights()

    def may(group: str, kind: str) -> set[str]:
        return rights.get((group, plurals.get((group, kind), f"{kind.lower()}s")), set())

    for ref in {*setup.router.reads(), *setup.start}:
        needed = {"get", "list", "watch"} | (set() if ref in setup.only_read else {"patch"})
        needed |= {"create", "delete"} if ref in setup.creates else set()
        assert needed <= may(ref.group, ref.kind), ref
    for ref in setup.router.makes(setup.start) if isinstance(setup.router, Making) else ():
        assert {"get", "list", "watch", "create", "patch", "delete"} <= may(ref.group, ref.kind), ref


def test_a_router_in_another_process_needs_no_right() -> None:
    assert not [group for group, _ in _rights() if group == GROUP]


def test_nobody_may_do_everything() -> None:
    rules = [
        rule
        for manifest in yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text())
        if manifest["kind"] in {"ClusterRole", "Role"}
        for rule in manifest["rules"]
    ]

    assert not [rule for rule in rules if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])]
    assert not [rule for rule in rules if "secrets" in rule["resources"]]
