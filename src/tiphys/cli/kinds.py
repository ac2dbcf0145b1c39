"""Which kinds of objects do commands read and write?"""

from collections.abc import Mapping
from typing import Final

from tiphys.api.words import GROUP, VERSION
from tiphys.kube.resources import Resource

ROLLOUTS: Final = Resource(GROUP, VERSION, "rollouts", "Rollout")
EXPERIMENTS: Final = Resource(GROUP, VERSION, "experiments", "Experiment")
ANALYSIS_RUNS: Final = Resource(GROUP, VERSION, "analysisruns", "AnalysisRun")
ANALYSIS_TEMPLATES: Final = Resource(GROUP, VERSION, "analysistemplates", "AnalysisTemplate")
CLUSTER_ANALYSIS_TEMPLATES: Final = Resource(GROUP, VERSION, "clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False)
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
POD_TEMPLATES: Final = Resource("", "v1", "podtemplates", "PodTemplate")

WORKLOADS: Final[Mapping[str, Resource]] = {"Deployment": DEPLOYMENTS, "ReplicaSet": REPLICA_SETS, "PodTemplate": POD_TEMPLATES}
"""What a `workloadRef` may name, by kind."""

CREATABLE: Final[Mapping[str, Resource]] = {
    kind.kind: kind for kind in (ROLLOUTS, EXPERIMENTS, ANALYSIS_RUNS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES)
}
"""What `create` makes, by kind."""
