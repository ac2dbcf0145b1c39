"""Do the routers accept the examples that users start from?"""

from pathlib import Path

import msgspec
import pytest
import yaml

from routers import CRDS
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.traffic.router import Ref
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import routers_of, unsupported

EXAMPLES = CRDS.parent / "examples"
FILES = (
    "istio/istio-mirror.yaml",
    "istio/istio-subset-split.yaml",
    "traffic-routing-experiment-step/istio-host-split-experiment-step.yaml",
)


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the reference's examples are not part of this repository")
@pytest.mark.parametrize("file", FILES)
def test_an_example_is_accepted_and_gets_its_weights(file: str) -> None:
    documents = [document for document in yaml.safe_load_all((EXAMPLES / Path(file)).read_text(encoding="utf-8")) if document]
    body = next(document for document in documents if document["kind"] == "Rollout")
    rollout = msgspec.json.decode(msgspec.json.encode(body), type=Rollout)
    found = {_ref(document): document for document in documents if document["apiVersion"].startswith("networking.istio.io/")}
    (router,) = routers_of(rollout, settings=Settings())
    canary = rollout.spec.strategy.canary
    assert canary is not None
    wish = TrafficIntent(
        backends=(
            Backend(role=Role.STABLE, service=canary.stable_service, pod_hash="55c4", weight=90),
            Backend(role=Role.CANARY, service=canary.canary_service, pod_hash="7d9f", weight=10),
        )
    )

    rendered = router.render(wish, found)

    assert list(unsupported(rollout)) == []
    assert list(router.problems(found)) == []
    routed = router.routed({**found, **rendered.apply})
    assert routed is not None
    assert routed.says(wish)


def _ref(document: Manifest) -> Ref:
    return Ref(group="networking.istio.io", kind=document["kind"], namespace="", name=document["metadata"]["name"])
