"""Does each router write exactly the fields that the page on GitOps says are ours?"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ignore_rules import Rule, rules, sections, stripped
from routers import MANAGED, SETUPS, Objects, Setup, after, wishes
from tiphys.api.meta import Manifest
from tiphys.traffic.table import ROUTERS

every_setup = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
many = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXPERIMENTS = ("exp-a", "exp-b", "exp-c")
ACTION = re.compile(r".*/actions\.(web-root|web-stable)|rollouts\.argoproj\.io/managed-alb-annotations")
NOISE = {"by": "somebody else"}


def documented(setup: Setup) -> list[Rule]:
    """Give the rules for a setup's product, for the kinds and versions that the page says they are the same for."""
    stable, canary = named(setup)
    action = "web-root" if "actions.web-root" in str(setup.start) else setup.stable
    prefix = "lb.example" if "lb.example" in str(setup.start) else "alb.ingress.kubernetes.io"
    found = rules(
        setup.product,
        texts={"parcel-root": action, "alb.ingress.kubernetes.io": prefix},
        stable=[stable],
        canary=[canary],
        managed=MANAGED,
        experiments=EXPERIMENTS,
    )
    same = {"HTTPRoute": ("GRPCRoute", "TLSRoute", "TCPRoute")}
    old = [replace(rule, group="traefik.containo.us") for rule in found if rule.group == "traefik.io"]
    return [*found, *old, *(replace(rule, kind=kind) for rule in found for kind in same.get(rule.kind, ()))]


def named(setup: Setup) -> tuple[str, str]:
    """Give what stands in the objects for the stable and the canary side."""
    if setup.product == "appMesh":
        return "web-stable-node", "web-canary-node"
    return (setup.stable, setup.canary) if setup.stable else ("stable", "canary")


def left(setup: Setup, objects: Objects) -> dict[str, Manifest]:
    """Give the objects of the user without what the page says is ours."""
    known = documented(setup)
    return {str(ref): stripped(objects[ref], known) for ref in setup.start}


def test_every_product_of_the_table_has_a_section() -> None:
    assert sections() == {product.name for product in ROUTERS}


@every_setup
@given(data=st.data())
@many
def test_whatever_a_router_changes_in_an_object_of_the_user_is_covered_by_the_rules(setup: Setup, data: st.DataObject) -> None:
    found = setup.start
    for wish in data.draw(st.lists(wishes(setup), min_size=1, max_size=2)):
        found = after(setup, wish, found)

    assert left(setup, found) == left(setup, setup.start)


@every_setup
def test_the_rules_cover_nothing_else(setup: Setup) -> None:
    """All that they take from the user's objects are weights of the Rollout's own backends, or the annotation in which these stand."""
    start = setup.disturbed(NOISE)

    taken = [loss for ref, manifest in start.items() for loss in lost(manifest, left(setup, start)[str(ref)])]

    for item, key in taken:
        if all(ACTION.fullmatch(annotation) for annotation in (item[key] if key == "annotations" else (key,))):
            continue
        assert key == "weight", (item, key)
        places = (item, item.get("destination") or {}, item.get("virtualNodeRef") or {})
        said = [str(place.get(field, "")) for place in places for field in ("name", "serviceName", "host", "subset")]
        assert {name.split(".")[0] for name in said} & set(named(setup)), item


@every_setup
def test_a_router_that_makes_objects_gives_them_an_owner_and_no_label_of_anybody(setup: Setup) -> None:
    """Or a tool that goes by labels would take them for its own, and prune them."""
    found = after(setup, setup.wish(20), setup.start)

    for ref in setup.creates & found.keys():
        metadata = found[ref]["metadata"]
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("Rollout", True)
        assert "labels" not in metadata
        assert not [key for key in metadata.get("annotations", {}) if "kubectl" in key or "argocd" in key]


def lost(before: Any, now: Any, parent: Any = None, key: str = "") -> Iterator[tuple[Any, str]]:  # noqa: ANN401 - any JSON
    """Name what *now* lacks of *before*: the map that held it, and its key."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            if name in now:
                yield from lost(value, now[name], before, name)
            else:
                yield before, name
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for one, other in zip(before, now, strict=True):
            yield from lost(one, other, parent, key)
    elif before != now:
        yield parent, key
