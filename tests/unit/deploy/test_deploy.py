"""What is applied to a cluster is what the code says."""

from pathlib import Path

import yaml

from tiphys.cli.crds import text

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_the_definitions_are_those_of_the_types() -> None:
    assert (DEPLOY / "crds.yaml").read_text() == text(), "run `make crds`"


def test_every_manifest_is_yaml_with_a_kind() -> None:
    for file in sorted(DEPLOY.glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            assert {"apiVersion", "kind", "metadata"} <= manifest.keys(), file.name


def test_nobody_may_do_everything() -> None:
    rules = [
        rule
        for manifest in yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text())
        if manifest["kind"] in {"ClusterRole", "Role"}
        for rule in manifest["rules"]
    ]

    assert not [rule for rule in rules if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])]
    assert not [rule for rule in rules if "secrets" in rule["resources"]]
