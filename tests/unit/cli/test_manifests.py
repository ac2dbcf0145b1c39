from pathlib import Path
from typing import Any

import pytest

from fakeapi import FakeApi
from tiphys.cli.create import create_objects, problems, readable
from tiphys.cli.manifests import read_file, read_text
from tiphys.cli.patches import RefusedError
from tiphys.cli.paths import parts

HEAD = "apiVersion: v1\nkind: Thing\n"


def values(text: str) -> dict[str, Any]:
    (document,), wrong = read_text(HEAD + text, file="f.yaml")
    assert wrong == []
    return document.manifest


def test_yaml_means_what_kubernetes_takes_it_to_mean() -> None:
    text = "time: 2020-01-01\nclock: 12:30:00\non: yes\n8080: 0x10\noctal: 010\nfloat: 1e3\nnothing: ~\nmerged: {<<: &base {a: 1}, b: 2}\n"

    found = values(text)

    assert found == {
        "apiVersion": "v1",
        "kind": "Thing",
        "time": "2020-01-01",
        "clock": "12:30:00",
        "true": True,
        "8080": 16,
        "octal": 8,
        "float": 1000.0,
        "nothing": None,
        "merged": {"a": 1, "b": 2},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\n", "f.yaml:2:1: malformed YAML: did not find expected ',' or ']' (while parsing a flow sequence)"),
        ("a: b: c\n", "f.yaml:1:5: malformed YAML: mapping values are not allowed in this context"),
        ("a: 1\na: 2\n", 'f.yaml:2:1: malformed YAML: found the key "a" twice'),
        ("just text\n", "f.yaml:1: document 1: found text, wanted a Kubernetes object"),
        ("apiVersion: v1\n", "f.yaml:1: document 1: kind: Required value: must say which Kubernetes object this is"),
        (f"{HEAD}self: &it [*it]\n", "f.yaml: found values nested without end, wanted a finite object"),
        (f"{HEAD}x: !!python/name:os.system\n", "f.yaml:3:4: malformed YAML: could not determine a constructor for the tag"),
        ("bell: \x07\n", "f.yaml: malformed YAML: unacceptable character"),
    ],
)
def test_what_is_no_object_is_told_in_one_line_with_its_place(text: str, message: str) -> None:
    documents, (error,) = read_text(text, file="f.yaml")

    assert documents == []
    assert str(error).startswith(message)
    assert "\n" not in str(error)


def test_documents_before_the_malformed_one_are_read_and_empty_ones_are_none() -> None:
    documents, wrong = read_text(f"---\n---\n{HEAD}---\n# nothing\n---\na: [\n", file="f.yaml")

    assert [document.number for document in documents] == [2]
    assert len(wrong) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"a: \xff\n")

    assert str(read_file(str(tmp_path / "none"))[1][0]) == f"{tmp_path}/none: no such file or directory"
    assert str(read_file(str(tmp_path))[1][0]) == f"{tmp_path}: is a directory"
    assert "found a byte that is no UTF-8 at offset 3" in str(read_file(str(tmp_path / "binary"))[1][0])


def test_a_field_has_a_line_though_its_path_leaves_out_the_strategy() -> None:
    text = f"{HEAD}spec:\n  strategy:\n    canary:\n      steps:\n        - a: 1\n        - setWeight: 5\n"
    (document,), _ = read_text(text, file="f.yaml")

    assert document.line("spec.strategy.steps[1].setWeight") == 8
    assert document.line("spec.strategy.steps[7].setWeight") == 6
    assert document.line("nowhere") == 1


def test_a_path_has_names_and_positions() -> None:
    assert parts("spec.steps[12].match[0].plugins[a.b/c].x") == ["spec", "steps", 12, "match", 0, "plugins", "a.b/c", "x"]


ROLLOUT = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web, namespace: shop}\nspec: {strategy: {canary: {}}}\n"


def test_only_our_kinds_are_created_and_only_where_the_user_says() -> None:
    documents, _ = read_text(f"{ROLLOUT}---\n{HEAD}---\n{ROLLOUT.replace('spec:', 'spce:')}", file="f.yaml")

    found = problems(documents, namespace="other")

    kinds = "Rollout, Experiment, AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate"
    assert found == [
        'f.yaml:2: document 1 (Rollout shop/web): metadata.namespace: found "shop", wanted "other" as --namespace says',
        f"f.yaml:7: document 2 (Thing): found v1 Thing, wanted argoproj.io/v1alpha1 and one of {kinds}",
        'f.yaml:10: document 3 (Rollout shop/web): metadata.namespace: found "shop", wanted "other" as --namespace says',
        'f.yaml:12: document 3 (Rollout shop/web): spce: Invalid value: "{"strategy":{"canary":{}}}": no such field',
    ]


def test_a_file_without_objects_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# later\n")

    with pytest.raises(RefusedError, match="found no object, wanted at least one"):
        readable([str(tmp_path / "empty.yaml")], namespace=None)


async def test_created_objects_are_told_by_the_name_they_got(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi()
    template = "apiVersion: argoproj.io/v1alpha1\nkind: ClusterAnalysisTemplate\nmetadata: {generateName: rate-}\n"
    documents, _ = read_text(f"{ROLLOUT}---\n{template}", file="f.yaml")

    assert await create_objects(api, documents) == ["web", "rate-x7k2p"]
    assert capsys.readouterr().out.splitlines() == [
        "rollout.argoproj.io/web created",
        "clusteranalysistemplate.argoproj.io/rate-x7k2p created",
    ]
