"""What are labels, annotations and objects called? (Lifecycle reference 10.3.)"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from tiphys.api.meta import read_time

HASH_LABEL: Final = "rollouts-pod-template-hash"
INSTANCE_ID_LABEL: Final = "argo-rollouts.argoproj.io/controller-instance-id"
ROLLOUT_TYPE_LABEL: Final = "rollout-type"
"""What an AnalysisRun is for: `Step`, `Background`, `PrePromotion` or `PostPromotion`."""
STEP_INDEX_LABEL: Final = "step-index"
"""The step an AnalysisRun belongs to, counted from 0."""

REVISION: Final = "rollout.argoproj.io/revision"
REVISION_HISTORY: Final = "rollout.argoproj.io/revision-history"
DESIRED_REPLICAS: Final = "rollout.argoproj.io/desired-replicas"
EPHEMERAL_METADATA: Final = "rollout.argoproj.io/ephemeral-metadata"
WORKLOAD_GENERATION: Final = "rollout.argoproj.io/workload-generation"
SCALE_DOWN_DEADLINE: Final = "scale-down-deadline"
MANAGED_BY: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"
MANAGED_ALB_ANNOTATIONS: Final = "rollouts.argoproj.io/managed-alb-annotations"
"""Which annotations of an Ingress are whose: a map (JSON) of Rollouts to keys."""
MANAGED_ALB_ACTIONS: Final = "rollouts.argoproj.io/managed-alb-actions"
"""What earlier releases of the reference wrote for the same; nobody reads it any more."""
NOTIFIED: Final = "notified.notifications.argoproj.io"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
TEMPLATE_DIGEST: Final = "tiphys.dev/template-digest"
"""Digest of the pod template a ReplicaSet of ours was made from (architecture 6)."""
ROUTED_EXPERIMENTS: Final = "tiphys.dev/routed-experiments"
"""Comma-separated Services of experiments that we added to a route object, so that we take away only what we added."""
ROUTED_ROUTES: Final = "tiphys.dev/routed-routes"
"""The header and mirror routes that the managed rules of a route object say, in JSON: rules alone do not always tell it."""
HEADER_ROUTES: Final = "tiphys.dev/header-routes"
"""The header routes (JSON) that an object says in a form without names."""
MIRROR_ROUTES: Final = "tiphys.dev/mirror-routes"
"""The mirror routes (JSON) that an object says in a form without names."""
WRITTEN_ANNOTATIONS: Final = "tiphys.dev/written-annotations"
"""Comma-separated keys of annotations that we wrote, so that one that is no longer wanted goes, and no other."""
HIDDEN_METADATA: Final = "tiphys.dev/hidden-metadata"
"""On a ReplicaSet: values of its template that ephemeral metadata hides (JSON, as the reference's record of that)."""
PODS_METADATA: Final = "tiphys.dev/pods-metadata"
"""On a ReplicaSet: labels and annotations (JSON, null takes one away) that its pods still have to get."""
RUNS_COUNT_AFTER: Final = "tiphys.dev/runs-count-after"
"""On a Rollout: when the newest AnalysisRun was made that an earlier attempt rests on, so that no retry is judged by it."""
ROUTED_BY: Final = "tiphys.dev/routed-by"
"""The routers (JSON) through which a Rollout was steered, so that nothing is left behind when its spec names others."""
ON_DELETE: Final = "tiphys.dev/on-delete"
"""On a Rollout, by its owner: comma-separated words for what is put back before it goes (`FAREWELLS`); also the name of our finalizer."""
RESET_TRAFFIC: Final = "reset-traffic"
"""Route objects give everything to stable again and have no managed routes."""
RESTORE_WORKLOAD: Final = "restore-workload"
"""The Deployment that the template comes from gets the Rollout's count of pods back."""
FAREWELLS: Final = (RESET_TRAFFIC, RESTORE_WORKLOAD)

FIELD_MANAGER: Final = "rollouts-controller"


def replica_set(rollout: str, pod_hash: str) -> str:
    """Name the ReplicaSet of *rollout* for *pod_hash*."""
    return f"{rollout}-{pod_hash}"


def analysis_run(rollout: str, pod_hash: str, revision: int, suffix: str = "") -> str:
    """Name an AnalysisRun; *suffix* is the step's index, `pre` or `post`, and nothing for the one in the background."""
    name = f"{rollout}-{pod_hash}-{revision}"
    return f"{name}-{suffix}" if suffix else name


def experiment(rollout: str, pod_hash: str, revision: int, step: int) -> str:
    """Name the Experiment of the *step* (counted from 0)."""
    return f"{rollout}-{pod_hash}-{revision}-{step}"


def pod_hash(labels: Mapping[str, str]) -> str:
    """Give the pod-template hash in *labels*, or the empty text."""
    return labels.get(HASH_LABEL, "")


def revision(annotations: Mapping[str, str]) -> int:
    """Give the revision number in *annotations*; 0 where it is missing or no number."""
    return _number(annotations.get(REVISION), default=0)


def earlier_revision(annotations: Mapping[str, str]) -> int:
    """Give the revision that a ReplicaSet had before its present one; the present one where it never had another."""
    return _number(annotations.get(REVISION_HISTORY, "").rpartition(",")[2], default=revision(annotations))


def desired_replicas(annotations: Mapping[str, str]) -> int | None:
    """Give the `spec.replicas` (pods) a ReplicaSet was last sized for; nothing where it is missing or no number."""
    text = annotations.get(DESIRED_REPLICAS)
    return None if text is None else _number(text, default=-1)


def scale_down_deadline(annotations: Mapping[str, str]) -> datetime | None:
    """Give the time from which a ReplicaSet may go to 0; nothing where it is missing or no time."""
    text = annotations.get(SCALE_DOWN_DEADLINE)
    return None if text is None else read_time(text)


def _number(text: str | None, *, default: int) -> int:
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default
