"""What is there to show of a rollout now?"""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from tiphys.api.analysis import AnalysisRun
from tiphys.api.experiment import Experiment
from tiphys.api.rollout import Rollout
from tiphys.api.workloads import ReplicaSet
from tiphys.cli.family import Family, ShownEvent, ShownPod
from tiphys.cli.kinds import ANALYSIS_RUNS, EXPERIMENTS, REPLICA_SETS, ROLLOUTS
from tiphys.cli.session import Api
from tiphys.cli.verdict import unverified
from tiphys.kube.errors import ForbiddenError, NotFoundError
from tiphys.kube.resources import EVENTS, PODS, Resource

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
    events = await read_events(api, rollout)
    return Family(rollout=rollout, replica_sets=replica_sets, pods=pods, experiments=experiments, analysis_runs=runs, events=events)


async def read_events(api: Api, rollout: Rollout) -> Sequence[ShownEvent]:
    """Read what was told of *rollout*, where that says why its traffic is not verified."""
    if not unverified(rollout):
        return ()
    return await _optional(api, EVENTS, ShownEvent, field_selector=f"involvedObject.uid={rollout.metadata.uid}")


async def _optional(api: Api, resource: Resource, into: type[T], *, field_selector: str = "") -> Sequence[T]:
    """Read a kind that a cluster may lack, or that we may not see."""
    try:
        return await api.list(resource, namespace=api.namespace, field_selector=field_selector, into=into)
    except (NotFoundError, ForbiddenError):
        return ()
