"""Does whoever sends the traffic know the pods behind the active Service? (Traffic-routing reference 4.2.7; S3)"""

from tiphys.core.actions import Because, Why
from tiphys.core.bluegreen_situation import BlueGreen
from tiphys.core.observed import Verification
from tiphys.core.verified import not_verified


def unplaced(now: BlueGreen) -> Because | None:
    """
    Name what keeps the new version's pods from being known, and so from being stable; nothing where that cannot be asked.

    The Service has to be seen selecting them, and listing nobody else, before an answer speaks of them. A first version has no older one
    whose pods could go too early.
    """
    router, service = now.seen.router, now.strategy.active_service
    if router is None or now.fresh:
        return None
    pod_hash = now.revisions.pod_hash
    if not now.cut_over:
        return Because(
            why=Why.SERVICE_NOT_SWITCHED, object=f"Service {service}", wanted=f"to select {pod_hash}", found=now.active or "no hash"
        )
    listed = now.seen.endpoints.get(service)
    if listed is not None and {owner for owner, count in listed.items() if count} != {pod_hash}:
        found = ", ".join(f"{count} of {owner}" for owner, count in listed.items()) or "none"
        return Because(why=Why.NO_READY_ENDPOINTS, object=f"Service {service}", wanted=f"ready endpoints of {pod_hash} only", found=found)
    if router.verified is not Verification.NOT_YET:
        return None
    return not_verified(router, f"Service {service}", "its ready addresses known to the load balancer")


def doubt(now: BlueGreen) -> Because | None:
    """Say why no older version's pods may go yet, once the active Service has left them."""
    return unplaced(now) if now.cut_over else None
