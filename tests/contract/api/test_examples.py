"""The example manifests that people copy are read, and judged as they always were."""

from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from tiphys.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from tiphys.api.codec import decode
from tiphys.api.crds import crd_manifests
from tiphys.api.experiment import Experiment
from tiphys.api.meta import Manifest, Wire
from tiphys.api.podhash import steps_hash, template_hash
from tiphys.api.rollout import Rollout
from tiphys.api.validation import invalid_message, spec_problems
from tiphys.api.workloads import Deployment, ReplicaSet, Service

EXAMPLES = Path(__file__).parents[3].parent / "shared" / "examples"
TYPES: dict[str, type[Wire]] = {
    kind.__name__: kind
    for kind in (Rollout, AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun, Experiment, Deployment, ReplicaSet, Service)
}
SCHEMAS = {crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in crd_manifests()}
FRAGMENT = (
    'The Rollout "" is invalid: spec.selector: Required value: a label selector that matches the labels of the pod template; '
    "spec.template: Required value: a pod template, or workloadRef beside it"
)
INVALID = {f"overview/{name}-route{plural}.yaml#0": FRAGMENT for name, plural in (("header", ""), ("managed", "s"), ("mirror", ""))}
"""Examples that show only a part of a Rollout, with what is missing."""
NO_YAML = ("traffic-management/rollout-linkerd.yaml#4",)
"""Documents with placeholders of a template language."""

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not on this machine")


def manifests() -> list[tuple[str, Manifest]]:
    found = []
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        name = str(path.relative_to(EXAMPLES))
        for at, text in enumerate(path.read_text().split("\n---")):
            if f"{name}#{at}" in NO_YAML:
                continue
            document = yaml.load(text, yaml.CSafeLoader)
            if isinstance(document, dict) and document.get("kind") in TYPES:
                found.append((f"{name}#{at}", document))
    return found


@pytest.mark.parametrize(("name", "manifest"), [pytest.param(*one, id=one[0]) for one in manifests()])
def test_examples_are_valid_and_read(name: str, manifest: Manifest) -> None:
    kind = manifest["kind"]
    if kind in SCHEMAS:
        jsonschema.Draft202012Validator(SCHEMAS[kind]).validate(manifest)

    there = decode(msgspec.json.encode(manifest), TYPES[kind])

    if isinstance(there, Rollout):
        problems = spec_problems(there)
        assert (invalid_message(there.metadata.name, problems) if problems else "") == INVALID.get(name, "")
        assert template_hash(bytes(there.spec.template)) if there.spec.workload_ref is None else True
        assert steps_hash(there.spec.strategy.canary.steps if there.spec.strategy.canary else ())


def test_there_are_examples_of_every_kind_that_people_write() -> None:
    assert {manifest["kind"] for _, manifest in manifests()} >= {
        "Rollout",
        "AnalysisTemplate",
        "ClusterAnalysisTemplate",
        "Experiment",
        "Service",
    }
