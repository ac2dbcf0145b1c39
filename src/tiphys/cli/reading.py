"""What is there to show of a rollout now?"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from tiphys.api.analysis import AnalysisRun
from tiphys.api.experiment import Experiment
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.family import Family, ShownPod
from tiphys.cli.kinds import ANALYSIS_RUNS, EXPERIMENTS, REPLICA_SETS, ROLLOUTS
from tiphys.cli.session import Api
from tiphys.kube.errors import ForbiddenError, NotFoundError
from tiphys.kube.resources import PODS, Resource

T = TypeVar("T")


async def read_family(api: Api, name: str) -> Family:
    """
    Read a rollout and everything around it once.

    Raises:
        NotFoundError: there is no such rollout.

    """
    namespace = api.namespace
    rollout = await api.get(ROLLOUTS, name, namespace=namespace, into=Rollout)
    replica_sets, pods, experiments, runs = await asyncio.gather(
        api.list(REPLICA_SETS, namespace=namespace, into=ReplicaSet),
        api.list(PODS, namespace=namespace, into=ShownPod),
        _optional(api, EXPERIMENTS, Experiment),
        _optional(api, ANALYSIS_RUNS, AnalysisRun),
    )
    return Family(rollout=rollout, replica_sets=replica_sets, pods=pods, experiments=experiments, analysis_runs=runs)


async def _optional(api: Api, resource: Resource, into: type[T]) -> Sequence[T]:
    """Read a kind that a cluster may lack, or that we may not see."""
    try:
        return await api.list(resource, namespace=api.namespace, into=into)
    except (NotFoundError, ForbiddenError):
        return ()
