"""How many pods does a share of the traffic need where a router splits it? (Lifecycle reference 5.1 and 5.4.)"""


def canary_pods(weight: int, replicas: int, maximum: int = 100) -> int:
    """Give the pods that *weight* of *maximum* needs when *replicas* pods carry everything: rounded up."""
    return -(-weight * replicas // maximum)


def stable_share(weight: int, replicas: int, maximum: int = 100) -> int:
    """Give the pods that stable must have before the canary gets *weight*: rounded down (5.4, S2)."""
    return (maximum - weight) * replicas // maximum


def floor_ha(count: int, *, replicas: int, minimum: int | None) -> int:
    """
    Raise a count that is not 0 to `minPodsPerReplicaSet`, but not above *replicas*.

    *minimum* is nothing where the spec has no such field.
    """
    if count == 0 or minimum is None:
        return count
    return max(count, min(minimum, replicas))
