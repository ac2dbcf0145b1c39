"""What does a spec mean where it says nothing? (Lifecycle reference 1.2 to 1.4.)"""

from typing import Final

from tiphys.api.rollout import CanaryStrategy, RolloutSpec

REPLICAS: Final = 1
MIN_READY_SECONDS: Final = 0
REVISION_HISTORY_LIMIT: Final = 10
PROGRESS_DEADLINE_SECONDS: Final = 600
MAX_TRAFFIC_WEIGHT: Final = 100
SCALE_DOWN_DELAY_SECONDS: Final = 30
ABORT_SCALE_DOWN_DELAY_SECONDS: Final = 30
RUN_HISTORY_LIMIT: Final = 5
MIRROR_PERCENTAGE: Final = 100


def replicas(spec: RolloutSpec) -> int:
    """Give the wanted pods."""
    return REPLICAS if spec.replicas is None else spec.replicas


def revision_history_limit(spec: RolloutSpec) -> int:
    """Give how many old ReplicaSets are kept."""
    return REVISION_HISTORY_LIMIT if spec.revision_history_limit is None else spec.revision_history_limit


def progress_deadline_seconds(spec: RolloutSpec) -> int:
    """Give how long nothing may move before the update counts as stuck."""
    return PROGRESS_DEADLINE_SECONDS if spec.progress_deadline_seconds is None else spec.progress_deadline_seconds


def max_traffic_weight(canary: CanaryStrategy) -> int:
    """Give the weight that means all traffic."""
    routing = canary.traffic_routing
    weight = None if routing is None else routing.max_traffic_weight
    return MAX_TRAFFIC_WEIGHT if weight is None else weight
