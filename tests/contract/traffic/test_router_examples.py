"""Do the routers accept the examples that users start from?"""

import re
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
_PLACEHOLDER = re.compile(r"\{\{\s*args\.[\w-]+\s*\}\}")
FILES = (
    "ambassador",
    "apisix",
    "istio/istio-mirror.yaml",
    "istio/istio-subset-split.yaml",
    "traffic-management/rollout-linkerd.yaml",
    "traffic-routing-experiment-step/istio-host-split-experiment-step.yaml",
    "traffic-routing-experiment-step/rollout-smi-experiment-step.yaml",
)


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the reference's examples are not part of this repository")
@pytest.mark.parametrize("file", FILES)
def test_an_example_is_accepted_and_gets_its_weights(file: str) -> None:
    documents = _documents(EXAMPLES / file)
    body = next(document for document in documents if document["kind"] == "Rollout")
    stored = {**body, "metadata": {**body["metadata"], "uid": "6f1e"}}
    rollout = msgspec.json.decode(msgspec.json.encode(stored), type=Rollout)
    found = {_ref(document): document for document in documents}
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


def _documents(path: Path) -> list[Manifest]:
    """Give the objects of a file, or of all files of a folder; placeholders of a template, which are no YAML, are filled."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    texts = [_PLACEHOLDER.sub("filled", file.read_text(encoding="utf-8")) for file in files]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def _ref(document: Manifest) -> Ref:
    group, slash, _ = document["apiVersion"].partition("/")
    return Ref(group=group if slash else "", kind=document["kind"], namespace="", name=document["metadata"]["name"])
