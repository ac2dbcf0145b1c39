"""Does the controller grow while it works?"""

import gc
from itertools import count

import structlog

from benchmarks.figures import Figure, resident
from inprocess import InProcessController, pod_template, rollout_manifest, service_manifest, virtual_service_manifest
from tiphys.api.crds import crd_manifests
from tiphys.api.meta import Manifest
from tiphys.core.decide import decide
from tiphys.core.invariants import violated
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.virtual import VirtualCluster

ROLLOUTS = 100
PASSES = 10_000
WARM_UP = 3_000
AT_MOST = 5.0
"""Percent."""
EVERY = 1_000
STEPS = ({"setWeight": 20}, {"pause": {"duration": 1}}, {"setWeight": 60})


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
    print(
        f"MB after every {EVERY} passes, the development cluster of the same process included: {', '.join(f'{each:.1f}' for each in read)}"
    )
    name = f"growth of memory over {PASSES} passes, {ROLLOUTS} Rollouts"
    return [Figure(name=name, value=max(0.0, growth), unit="%", at_most=AT_MOST)]


def _world() -> InProcessController:
    cluster = VirtualCluster(definitions=[*foreign_definitions("networking.istio.io"), *crd_manifests()])
    controller = InProcessController(cluster, decide=decide, gate=violated)
    cluster.join(controller)
    for number in range(ROLLOUTS):
        name = _name(number)
        controller.create(virtual_service_manifest(name))
        for service in (service_manifest(f"{name}-stable"), service_manifest(f"{name}-canary")):
            service["spec"]["selector"] = {"app": name}
            controller.create(service)
        rollout = rollout_manifest(name, *STEPS, replicas=1, scaleDownDelaySeconds=1)
        rollout["spec"] |= {"revisionHistoryLimit": 0, "selector": {"matchLabels": {"app": name}}, "template": _template(name, version=1)}
        controller.create(rollout)
    _settle(controller, seconds=60)
    return controller


def _name(number: int) -> str:
    return f"web-{number:03d}"


def _template(name: str, *, version: int) -> Manifest:
    template = pod_template(image=f"registry.example/web:{version}")
    return {**template, "metadata": {"labels": {"app": name}}}


def _work(controller: InProcessController, versions: "count[int]", *, passes: int) -> None:
    """Update one Rollout after the other until *passes* more were made."""
    end = controller.passes + passes
    while controller.passes < end:
        version = next(versions)
        name = _name(version % ROLLOUTS)
        controller.edit(("argoproj.io", "Rollout"), name, {"spec": {"template": _template(name, version=version)}})
        _settle(controller, seconds=30)
    gc.collect()


def _settle(controller: InProcessController, *, seconds: float) -> None:
    """Let time pass; then forget what only the cluster, its history and the tests' ledger keep."""
    controller.cluster.advance(seconds)
    controller.requests.clear()
    controller.told.events.clear()
    controller.api.done.clear()
    controller.cluster.store.compact()
