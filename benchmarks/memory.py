"""Does the controller grow while it works?"""

import gc
import sys
from itertools import count

import structlog

from benchmarks.figures import Figure, resident
from inprocess import InProcessController, pod_template, rollout_manifest, service_manifest, virtual_service_manifest
from tiphys.api.crds import crd_manifests
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

ROLLOUTS = 100
PASSES = 10_000
WARM_UP = 4_000
AT_MOST = 5.0
"""Percent."""
EVERY = 1_000


def run() -> list[Figure]:
    """Let 100 Rollouts go from version to version, with all that comes and goes on the way, and watch the resident memory."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    controller = _world()
    versions = count(2)
    _work(controller, versions, passes=WARM_UP)
    before = resident()
    read = [before]
    for _ in range(PASSES // EVERY):
        _work(controller, versions, passes=EVERY)
        read.append(resident())
    growth = 100 * (read[-1] - before) / before
    blocks = sys.getallocatedblocks()
    print(f"MB after every {EVERY} passes: {', '.join(f'{each:.1f}' for each in read)}; {blocks} blocks allocated at the end")
    print(f"{len(controller.requests)} requests are on the ledger, which is emptied at every reading")
    name = f"growth of memory over {PASSES} passes, {ROLLOUTS} Rollouts"
    return [Figure(name=name, value=max(0.0, growth), unit="%", at_most=AT_MOST)]


def _world() -> InProcessController:
    cluster = VirtualCluster(definitions=[*foreign_definitions("networking.istio.io"), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for number in range(ROLLOUTS):
        name = _name(number)
        for manifest in (service_manifest(f"{name}-stable"), service_manifest(f"{name}-canary"), virtual_service_manifest(name)):
            controller.create(manifest)
        steps = ({"setWeight": 20}, {"pause": {"duration": 1}}, {"setWeight": 60})
        rollout = rollout_manifest(name, *steps, replicas=1, scaleDownDelaySeconds=1)
        rollout["spec"]["revisionHistoryLimit"] = 2
        controller.create(rollout)
    cluster.advance(60)
    return controller


def _name(number: int) -> str:
    return f"web-{number:03d}"


def _work(controller: InProcessController, versions: "count[int]", *, passes: int) -> None:
    """Update one Rollout after the other until *passes* more were made; then forget what only the cluster and the tests' ledger keep."""
    end = controller.passes + passes
    while controller.passes < end:
        version = next(versions)
        name = _name(version % ROLLOUTS)
        controller.edit(("argoproj.io", "Rollout"), name, {"spec": {"template": pod_template(image=f"registry.example/web:{version}")}})
        controller.cluster.advance(30)
    controller.requests.clear()
    controller.told.events.clear()
    controller.api.done.clear()
    controller.cluster.store.compact()
    gc.collect()
