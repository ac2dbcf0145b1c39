"""In which version is a foreign kind used?"""

import pytest

from tiphys.controller.kinds import Kinds, UnservedError
from tiphys.kube.resources import Resource

KIND = ("split.smi-spec.io", "TrafficSplit")
SERVED = [
    Resource("networking.istio.io", "v1", "virtualservices", "VirtualService"),
    *(Resource(KIND[0], version, "trafficsplits", KIND[1]) for version in ("v1alpha4", "v1alpha1")),
]


def test_without_a_choice_it_is_the_servers_favourite() -> None:
    assert Kinds().choose(KIND, SERVED) == SERVED[1]


def test_the_operators_choice_counts_and_nothing_else_stands_in_for_it() -> None:
    assert Kinds({KIND: "v1alpha1"}).choose(KIND, SERVED) == SERVED[2]
    assert Kinds({KIND: "v1alpha2"}).choose(KIND, SERVED) is None


def test_a_kind_that_is_not_served_is_named_with_the_version_that_was_chosen() -> None:
    with pytest.raises(UnservedError, match=r"does not serve TrafficSplit of split\.smi-spec\.io/v1alpha2: "):
        Kinds({KIND: "v1alpha2"})[KIND]
    with pytest.raises(UnservedError, match=r"does not serve TrafficSplit of split\.smi-spec\.io: "):
        Kinds()[KIND]
