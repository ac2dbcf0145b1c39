"""Where does a server keep an object?"""

import pytest

from kube_fakes import WIDGETS
from tiphys.kube.resources import NAMESPACES, PODS


def test_paths_of_core_and_group_kinds() -> None:
    assert PODS.path("ns", "a") == "/api/v1/namespaces/ns/pods/a"
    assert PODS.path("ns", "a", "eviction") == "/api/v1/namespaces/ns/pods/a/eviction"
    assert WIDGETS.path("ns", "a", "status") == "/apis/fixtures.example.com/v1/namespaces/ns/widgets/a/status"
    assert NAMESPACES.path(None, "ns") == "/api/v1/namespaces/ns"


def test_a_list_without_namespace_spans_all() -> None:
    assert PODS.path() == "/api/v1/pods"


def test_a_cluster_wide_kind_has_no_namespace_in_its_path() -> None:
    assert NAMESPACES.path("ignored") == "/api/v1/namespaces"


def test_a_namespaced_object_needs_a_namespace() -> None:
    with pytest.raises(ValueError, match="Pod a: found no namespace"):
        PODS.path(None, "a")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_cannot_lead_to_another_path(name: str) -> None:
    with pytest.raises(ValueError, match="dotted"):
        PODS.path("ns", name)


def test_a_name_with_a_slash_stays_one_part() -> None:
    assert PODS.path("ns", "a/../b?x") == "/api/v1/namespaces/ns/pods/a%2F..%2Fb%3Fx"
