"""Which custom resource definitions does a cluster need for our kinds? (Lifecycle reference 1.1.)"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import msgspec

from tiphys.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from tiphys.api.experiment import Experiment
from tiphys.api.meta import Manifest, Wire
from tiphys.api.rollout import Rollout
from tiphys.api.schema import object_schema
from tiphys.api.words import GROUP, VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    path: str
    type: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    kind: type[Wire]
    plural: str
    short: str
    namespaced: bool = True
    columns: tuple[_Column, ...] = ()
    sized: bool = False


_AGE: Final = _Column(name="Age", path=".metadata.creationTimestamp", type="date", description="Time since the object was created")
_STATUS: Final = _Column(name="Status", path=".status.phase", type="string", description="How it is, in one word")
_RESOURCES: Final = (
    _Resource(
        kind=Rollout,
        plural="rollouts",
        short="ro",
        sized=True,
        columns=(
            _Column(name="Desired", path=".spec.replicas", type="integer", description="Wanted pods"),
            _Column(name="Current", path=".status.replicas", type="integer", description="Pods there are"),
            _Column(name="Up-to-date", path=".status.updatedReplicas", type="integer", description="Pods of the wanted version"),
            _Column(name="Available", path=".status.availableReplicas", type="integer", description="Pods ready for minReadySeconds"),
            _AGE,
        ),
    ),
    _Resource(kind=AnalysisTemplate, plural="analysistemplates", short="at", columns=(_AGE,)),
    _Resource(kind=ClusterAnalysisTemplate, plural="clusteranalysistemplates", short="cat", namespaced=False, columns=(_AGE,)),
    _Resource(kind=AnalysisRun, plural="analysisruns", short="ar", columns=(_STATUS, _AGE)),
    _Resource(kind=Experiment, plural="experiments", short="exp", columns=(_STATUS, _AGE)),
)
_SCALE: Final[Manifest] = {
    "status": {},
    "scale": {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.HPAReplicas",
        "labelSelectorPath": ".status.selector",
    },
}


def crd_manifests() -> list[Manifest]:
    """Give the definitions of all our kinds, each call new ones."""
    return msgspec.json.decode(_encoded(), type=list[Manifest])


@cache
def _encoded() -> bytes:
    return msgspec.json.encode([_definition(resource) for resource in _RESOURCES])


def _definition(resource: _Resource) -> Manifest:
    kind = resource.kind.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": resource.plural,
                "singular": kind.lower(),
                "shortNames": [resource.short],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": object_schema(resource.kind)},
                    "subresources": {key: dict(value) for key, value in _SCALE.items()} if resource.sized else {},
                    "additionalPrinterColumns": [
                        {"name": one.name, "jsonPath": one.path, "type": one.type, "description": one.description}
                        for one in resource.columns
                    ],
                }
            ],
        },
    }
