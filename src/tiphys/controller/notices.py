"""What is told of a Rollout once for as long as it lasts, although every pass finds it again?"""

from collections.abc import Callable

import structlog

from tiphys.api import words
from tiphys.api.rollout import Rollout
from tiphys.api.words import EventType, Reason
from tiphys.controller.observe import Sight
from tiphys.core.actions import Event
from tiphys.core.observed import Verification
from tiphys.kube.store import Key

log = structlog.get_logger("tiphys.controller")


class Notices:
    """Remembers what was said about Rollouts, and *tells* what is new."""

    def __init__(self, tell: Callable[[Rollout, Event], None]) -> None:
        self._tell = tell
        self._greeted: set[str] = set()
        self._unverified: dict[Key, str] = {}
        self._judged: dict[Key, tuple[str, str]] = {}
        self._unasked: set[Key] = set()

    def forget(self, key: Key, last: Rollout | None) -> None:
        """Forget a Rollout; *last* is how it was."""
        if last is not None:
            self._greeted.discard(last.metadata.uid)
        self._unverified.pop(key, None)
        self._judged.pop(key, None)
        self._unasked.discard(key)

    def greet(self, rollout: Rollout) -> None:
        """Say hello to a Rollout that nobody has acted on yet: not to all of them after each start."""
        metadata = rollout.metadata
        if not rollout.status.observed_generation and metadata.uid not in self._greeted:
            self._greeted.add(metadata.uid)
            message = words.added(metadata.namespace, metadata.name)
            self._tell(rollout, Event(reason=Reason.ROLLOUT_ADDED, message=message))

    def verification(self, key: Key, rollout: Rollout, sight: Sight) -> None:
        """Tell that nobody can be asked what the traffic does, once for as long as that lasts; log what else is answered but *yes*."""
        if sight.errors and key not in self._unasked:
            self._unasked.add(key)
            message = words.not_verifiable("; ".join(dict.fromkeys(sight.errors)))
            self._tell(rollout, Event(reason=Reason.WEIGHT_VERIFY_ERROR, message=message, type=EventType.WARNING))
        router = sight.seen.router
        if router is not None and router.reason and self._judged.get(key) != (router.reason, router.detail):
            self._judged[key] = (router.reason, router.detail)
            kind = EventType.NORMAL if router.verified is Verification.YES else EventType.WARNING
            self._tell(rollout, Event(reason=Reason(router.reason), message=router.detail, type=kind))
        said = "" if router is None or router.verified is not Verification.NOT_YET else router.detail
        if said != self._unverified.get(key, ""):
            self._unverified[key] = said
            log.info("traffic verified" if not said else "traffic not verified yet", rollout=key.name, namespace=key.namespace, answer=said)
        if not said or (not sight.errors and router is not None and router.heard_at is not None):
            self._unasked.discard(key)
