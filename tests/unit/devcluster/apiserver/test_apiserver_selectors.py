"""Which objects a selector means, and what is said about one that cannot be read."""

from typing import Any

import pytest

from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Stored
from tiphys.devcluster.kinds import CONFIG_MAPS, PODS
from tiphys.devcluster.selectors import field_selector, from_label_selector, label_selector

SHOP = {"app": "shop", "tier": "web", "size": "5"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("app=shop", True),
        ("app==shop", True),
        ("app!=shop", False),
        ("other!=x", True),
        ("app in (shop, bank),tier notin (db)", True),
        ("app in ()", False),
        ("app", True),
        ("!app", False),
        ("!other,tier", True),
        ("app=shop,app=bank", False),
        ("size>4", True),
        ("size<5", False),
        ("app>1", False),
        ("other=", False),
        ("", True),
    ],
)
def test_a_label_selector_means_what_kubectl_says(selector: str, matches: bool) -> None:  # noqa: FBT001 - a table column
    assert label_selector(selector)(SHOP) is matches


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("app in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("size>x", "for 'Gt', 'Lt' operators, the value must be an integer"),
    ],
)
def test_a_label_selector_that_cannot_be_read_says_where(selector: str, message: str) -> None:
    with pytest.raises(StatusError) as error:
        label_selector(selector)

    assert error.value.code == 400
    assert message in error.value.message


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "shop"}}, True),
        ({"matchLabels": {"app": "bank"}}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "db"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "new", "operator": "DoesNotExist"}, {"key": "app", "operator": "Exists"}]}, True),
    ],
)
def test_a_label_selector_object_selects(selector: dict[str, Any] | None, matches: bool) -> None:  # noqa: FBT001 - a table column
    assert from_label_selector(selector)(SHOP) is matches


def pod(name: str, phase: str) -> Stored:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n"}, "spec": {}, "status": {"phase": phase}}
    return Stored(manifest, 1)


def test_pods_are_selected_by_phase_and_name() -> None:
    selector = field_selector(PODS, "status.phase=Running,metadata.name!=b")

    assert [selector(pod(name, phase)) for name, phase in (("a", "Running"), ("b", "Running"), ("c", "Pending"))] == [True, False, False]


@pytest.mark.parametrize("selector", ["status.phase=Running", "data.k=v"])
def test_a_kind_is_selected_by_its_own_fields_only(selector: str) -> None:
    with pytest.raises(StatusError) as error:
        field_selector(CONFIG_MAPS, selector)

    assert error.value.code == 400
