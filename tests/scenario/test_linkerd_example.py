"""Does the example for Linkerd do what its first lines say, once its placeholders are quoted, and is it reported until then?"""

import re
from pathlib import Path

import pytest

from inprocess import InProcessController
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.cli.checks import check
from tiphys.cli.manifests import read_text
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster
from tiphys.traffic.settings import Settings

FILE = Path(__file__).parents[3] / "shared" / "examples" / "traffic-management" / "rollout-linkerd.yaml"
PLACEHOLDER = re.compile(r"(?<=: )(\{\{args\.[\w-]+\}\})$", re.MULTILINE)
NAME = "rollout-linkerd"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the reference's examples are not part of this repository")


def test_the_example_as_it_stands_is_reported_with_file_and_line_and_the_rest_of_it_is_judged() -> None:
    text = FILE.read_text(encoding="utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), start=1) if PLACEHOLDER.search(each))

    documents, unreadable = read_text(text, file=FILE.name)

    (error,) = unreadable
    assert str(error).startswith(f"{FILE.name}:{line}")
    assert [document.kind for document in documents] == ["Rollout", "Service", "Service", "Service"]
    assert check(documents, unreadable).errors == [str(error)]


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha4"])
def test_the_example_with_its_placeholders_quoted_steers_five_percent_and_is_promoted(version: str) -> None:
    documents, unreadable = read_text(PLACEHOLDER.sub(r'"\1"', FILE.read_text(encoding="utf-8")), file=FILE.name)
    report = check(documents, unreadable)
    cluster = VirtualCluster(definitions=[*foreign_definitions("split.smi-spec.io", "specs.smi-spec.io"), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated, routers=Settings(smi_version=version))
    cluster.join(controller)
    for document in documents:
        controller.create({**document.manifest, "metadata": {"namespace": "default", **document.manifest["metadata"]}})

    def split() -> Manifest:
        spec: Manifest = controller.manifest(("split.smi-spec.io", "TrafficSplit"), NAME)["spec"]
        return {each["service"].removeprefix(f"{NAME}-"): int(each["weight"]) for each in spec["backends"]} | {"root": spec["service"]}

    cluster.advance(120)
    before = (controller.rollout(NAME).status.phase, split())
    controller.edit(("argoproj.io", "Rollout"), NAME, {"spec": {"template": _green(documents[0].manifest)}})
    cluster.advance(120)
    paused = (controller.rollout(NAME).status.phase, split())
    controller.edit(("argoproj.io", "Rollout"), NAME, {"status": {"promoteFull": True}}, subresource="status")
    cluster.advance(120)
    after = (controller.rollout(NAME).status.phase, split())

    assert report.errors == []
    assert before == after == ("Healthy", {"root": NAME, "canary": 0, "stable": 100})
    assert paused == ("Paused", {"root": NAME, "canary": 5, "stable": 95})


def _green(rollout: Manifest) -> Manifest:
    (container,) = rollout["spec"]["template"]["spec"]["containers"]
    return {"spec": {"containers": [{**container, "image": container["image"].replace("blue", "green")}]}}
