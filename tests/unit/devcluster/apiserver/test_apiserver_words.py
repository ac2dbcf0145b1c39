"""How amounts, ages, paths and bodies are read and written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.devcluster import jsonpath
from tiphys.devcluster.apiserver import ApiServer, check_loopback
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.http_media import Answer, accepted, duplicates, from_yaml, go_words
from tiphys.devcluster.http_paths import read_path
from tiphys.devcluster.metadata import key_problems, name_problems, value_problems
from tiphys.devcluster.quantities import canonical, parsed
from tiphys.devcluster.sources import Names
from tiphys.devcluster.storage import Store
from tiphys.devcluster.table_columns import duration


@pytest.mark.parametrize(
    ("given_amount", "written"),
    [
        ("100m", "100m"), ("0.1", "100m"), ("2000m", "2"), (".5", "500m"), ("1500m", "1500m"), ("0.0001", "1m"), ("0", "0"), (2, "2"),
        ("1024Ki", "1Mi"), ("1.5Gi", "1536Mi"), ("134217728", "134217728"), ("1000000k", "1G"), ("1500M", "1500M"), ("1e3", "1e3"),
        ("1Ti", "1Ti"), ("abc", None), (True, None),
    ],
)  # fmt: skip
def test_quantities_have_one_canonical_form(given_amount: object, written: str | None) -> None:
    assert canonical(given_amount, smallest=-3) == written


@given(amount=st.integers(0, 10**15), suffix=st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi", "e3"]))
def test_the_canonical_form_means_the_same_and_is_its_own(amount: int, suffix: str) -> None:
    written = canonical(f"{amount}{suffix}")

    assert written is not None
    assert parsed(written) == parsed(f"{amount}{suffix}")
    assert canonical(written) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (119, "119s"),
        (130, "2m10s"),
        (900, "15m"),
        (7500, "125m"),
        (18000, "5h"),
        (18060, "5h1m"),
        (90000, "25h"),
        (400000, "4d15h"),
    ],
)
def test_ages_have_at_most_two_units(seconds: int, written: str) -> None:
    assert duration(seconds) == written


STATUS = {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}], "x.y": 1, "list": [1, 2]}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('.status.conditions[?(@.type=="B")].status', ["False"]),
        (".status.conditions[*].type", ["A", "B"]),
        (".status.list[1]", [2]),
        (".status.list[-1]", [2]),
        (r".status.x\.y", [1]),
        (".status['x.y']", [1]),
        ("{.status.list[0]}", [1]),
        (".status.absent.deeper", []),
        (".status.list[?(", []),
    ],
)
def test_a_printer_column_finds_its_value(path: str, found: list[Any]) -> None:
    assert jsonpath.find(STATUS, path) == found


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("", Answer()),
        ("application/vnd.kubernetes.protobuf,application/json", Answer()),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Answer("application/json", "Table")),
        ("application/yaml;q=0.5, application/json", Answer()),
        ("application/yaml", Answer("application/yaml")),
    ],
)
def test_an_answer_comes_in_the_first_form_that_can_be_had(header: str, answer: Answer) -> None:
    assert accepted(header) == answer


def test_a_form_that_nobody_has_is_not_acceptable() -> None:
    with pytest.raises(StatusError) as error:
        accepted("text/html")

    assert error.value.code == 406


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{nope", "invalid character 'n' looking for beginning of object key string"),
        (b"", "unexpected end of JSON input"),
        (b'{"a": x}', "invalid character 'x' looking for beginning of value"),
        (b"{} {}", "invalid character '{' after top-level value"),
    ],
)
def test_a_body_that_cannot_be_read_says_where(body: bytes, words: str) -> None:
    assert go_words(body) == words


def test_fields_said_twice_are_found_wherever_they_are() -> None:
    body = b'{"a": 1, "spec": {"size": 1, "size": 2, "ports": [{"p": 1, "p": 2}]}, "a": 2}'

    assert sorted(duplicates(body)) == ["a", "spec.ports[0].p", "spec.size"]


def test_yaml_booleans_are_those_of_the_kubernetes_tools() -> None:
    assert from_yaml(b"a: yes\nb: y\nc: on\nd: 2024-01-02\ne: 'y'\n") == {"a": True, "b": True, "c": True, "d": "2024-01-02", "e": "y"}


@pytest.mark.parametrize(
    ("name", "name_format", "fits"),
    [("a.b", "subdomain", True), ("Upper", "subdomain", False), ("a.b", "label", False), ("1a", "label", True), ("1a", "service", False),
     ("x" * 254, "subdomain", False), ("x" * 64, "label", False), ("a:b", "path", True), ("a/b", "path", False)],
)  # fmt: skip
def test_names_fit_their_format(name: str, name_format: str, fits: bool) -> None:  # noqa: FBT001 - a table column
    assert (not name_problems(name, name_format)) is fits


@pytest.mark.parametrize(("key", "fits"), [("app", True), ("example.com/app", True), ("bad key", False), ("/x", False), ("a/b/c", False)])
def test_keys_are_qualified_names(key: str, fits: bool) -> None:  # noqa: FBT001 - a table column
    assert (not key_problems(key)) is fits


@pytest.mark.parametrize(("value", "fits"), [("", True), ("a.b_c-1", True), ("bad value!", False), ("x" * 64, False)])
def test_label_values_are_short_words(value: str, fits: bool) -> None:  # noqa: FBT001 - a table column
    assert (not value_problems(value)) is fits


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/namespaces/n/pods/p", ("pods", "n", "p", "")),
        ("/api/v1/namespaces/n/pods/p/status", ("pods", "n", "p", "status")),
        ("/api/v1/pods", ("pods", None, "", "")),
        ("/api/v1/namespaces/n", ("namespaces", None, "n", "")),
        ("/api/v1/namespaces/n/finalize", ("namespaces", None, "n", "finalize")),
        ("/apis/apps/v1/namespaces/n/replicasets/r/scale", ("replicasets", "n", "r", "scale")),
        ("/apis/apps/v1/watch/namespaces/n/replicasets", ("replicasets", "n", "", "")),
        ("/apis/apps/v9/replicasets", None),
        ("/api/v1/pods/p", None),
        ("/version", None),
    ],
)
def test_a_path_names_a_kind_an_object_or_a_subresource(path: str, named: tuple[str, str | None, str, str] | None) -> None:
    target = read_path(path, Store(names=Names(1)).registry)

    assert (None if target is None else (target.resource.plural, target.namespace, target.name, target.subresource)) == named


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])  # noqa: S104 - what must be refused
def test_the_server_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match="wanted a loopback address"):
        ApiServer(Store(names=Names(1)), host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.77.0.5", "::1", "localhost"])
def test_any_loopback_address_will_do(host: str) -> None:
    check_loopback(host)
