"""What happens in one pass over one Rollout, and when is the next?"""

import contextlib
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from zlib import crc32

import msgspec
import structlog

from tiphys.api import names, words
from tiphys.api.codec import status_patch
from tiphys.api.errors import TiphysError
from tiphys.api.meta import Wire
from tiphys.api.rollout import Rollout
from tiphys.api.status import RolloutStatus
from tiphys.api.words import EventType, Reason
from tiphys.api.workloads import Pod
from tiphys.controller.apply import Gate, carry_out
from tiphys.controller.caches import REPLICA_SET_KIND, ROLLOUT_KIND, SERVICE_KIND, SLICE_KIND, Mirror, loading
from tiphys.controller.claims import claim
from tiphys.controller.cluster import Cluster, about, rollout_ref
from tiphys.controller.contention import HOLD, OFTEN, Contention, Said, rival
from tiphys.controller.inquiries import Inquiries
from tiphys.controller.leave import leave
from tiphys.controller.named import Naming
from tiphys.controller.notices import Notices
from tiphys.controller.observe import Eye, Sight
from tiphys.controller.outside import let_go, silences
from tiphys.controller.queue import WorkQueue
from tiphys.controller.release import release
from tiphys.controller.telemetry import Telemetry
from tiphys.controller.trouble import CreationError, RefusedError, RoutingError, TakenNameError
from tiphys.controller.unreadable import as_far_as_readable, let_go_unread, repair_of
from tiphys.controller.verify import Verifier
from tiphys.controller.workload import Workloads
from tiphys.core.actions import Event, Plan
from tiphys.core.ailing import pods_are_late
from tiphys.core.decide import standstill
from tiphys.core.durations import attempts_ended
from tiphys.core.farewell import give_up
from tiphys.core.observed import Observed
from tiphys.core.report import Report, invalid, not_created
from tiphys.core.restart import restart_due
from tiphys.kube.clock import Clock
from tiphys.kube.errors import ConflictError, CredentialError, KubeError, NotFoundError, ThrottledError, UnauthorizedError, UnreachableError
from tiphys.kube.store import Key, Unreadable
from tiphys.traffic.router import Ref

STALE_DELAY: Final = 0.1
LOADING_DELAY: Final = 5.0
RELEASE_DELAY: Final = 60.0
"""Seconds between looks at Services of a Rollout that is gone while pods of several versions are left."""
SOONEST_WAKE: Final = 0.02
RESYNC: Final = 900.0
CONFLICTS_AT_ONCE: Final = 3

W = TypeVar("W", bound=Wire)
Decide = Callable[[Observed], Plan]
Standstill = Callable[[Observed], Report | None]

log = structlog.get_logger("tiphys.controller")


class Passes:
    """
    Observe, decide, apply: one pass at a time over each Rollout.

    Nothing is remembered between passes that an outcome depends on. What is kept here: how often a Rollout had a conflict in a row,
    and what was said about it already, so that a failure that lasts is told once.
    """

    def __init__(  # noqa: PLR0913 - the parts of a pass
        self,
        *,
        caches: Mirror,
        cluster: Cluster,
        queue: WorkQueue[Key],
        clock: Clock,
        naming: Naming,
        inquiries: Inquiries,
        telemetry: Telemetry,
        decide: Decide,
        gate: Gate,
        standstill: Standstill = standstill,
        resync: float = RESYNC,
        probes: bool = True,
    ) -> None:
        self._caches = caches
        self._cluster = cluster
        self._queue = queue
        self._clock = clock
        self._naming = naming
        self._telemetry = telemetry
        self._decide = decide
        self._gate = gate
        self._standstill = standstill
        self._resync = resync
        self._workloads = Workloads(caches)
        self._eye = Eye(caches, clock, naming, Verifier(inquiries, probes=probes))
        self._contention = Contention()
        inquiries.inform(self.changed)
        self._notices = Notices(self._tell)
        self._conflicts: dict[Key, int] = {}
        self._said: dict[Key, str] = {}
        self._read: dict[Key, str] = {}
        self._traced: set[tuple[Key, str]] = set()

    # What the caches tell (see `tiphys.controller.caches.Listener`)

    def changed(self, key: Key) -> None:
        """Look at a Rollout: something around it changed."""
        self._queue.add(key)

    def edited(self, key: Key) -> None:
        """Look at a Rollout: it is new, or a person changed it."""
        self._telemetry.present(key)
        self._queue.hurry(key)

    def gone(self, key: Key, last: Rollout | None) -> None:
        """Forget a Rollout."""
        if last is not None:
            self._tell(last, Event(reason=Reason.ROLLOUT_DELETED, message=words.deleted(key.namespace, key.name)))
            self._eye.forget(last)
            self._workloads.forget(last)
        self._queue.forget(key)
        self._caches.forget(key)
        self._telemetry.forget(key)
        self._conflicts.pop(key, None)
        self._said.pop(key, None)
        self._read.pop(key, None)
        self._notices.forget(key, last)
        self._contention.forget(key)
        self._traced = {each for each in self._traced if each[0] != key}

    # The pass

    async def look(self, key: Key) -> None:
        """Do one pass over *key* and tell the queue when to look again; an error of any kind stays with this Rollout."""
        began = self._clock.monotonic()
        try:
            wake_in = await self._pass(key)
        except ConflictError as error:
            self._conflict(key, error)
        except RoutingError as error:
            self._routing_failed(key, error)
        except TakenNameError:
            self._retry(key)
        except CreationError:
            self._count_failure(key)
            self._retry(key)
        except RefusedError as error:
            self._telemetry.refused(key, error.rule)
            self._failed(key, Event(reason=Reason.UNSAFE_ACTION, message=str(error), type=EventType.WARNING))
        except ThrottledError as error:
            self._retry(key, at_least=error.retry_after or 0.0)
        except (UnreachableError, UnauthorizedError, CredentialError, NotFoundError):
            # The server is away, knows us no longer, or what we wrote to is just gone: said elsewhere, or soon seen in the caches.
            self._retry(key)
        except TiphysError as error:
            self._failed(key, _reconciliation_error(str(error)))
        except Exception as error:  # noqa: BLE001 - a bug of ours degrades one Rollout and not the process
            self._broke(key, error)
        else:
            self._settled(key, wake_in)
        if self._there(key):
            self._telemetry.passed(key, self._clock.monotonic() - began)

    async def _pass(self, key: Key) -> float | None:
        """Give the seconds until the next look, or nothing where only a change matters."""
        unreadable = self._caches.broken(key)
        if unreadable is not None:
            return await self._report_unreadable(key, unreadable)
        rollout = self._caches.rollout(key)
        if rollout is None:
            return await self._after_its_end(key)
        leaving = rollout.metadata.deletion_timestamp is not None
        if leaving and names.ON_DELETE not in rollout.metadata.finalizers:
            return None
        if self._caches.behind(key):
            self._telemetry.stale()
            return STALE_DELAY
        named = self._naming.of(rollout)
        kinds = {REPLICA_SET_KIND, *named.kinds} | ({SERVICE_KIND, SLICE_KIND} if named.services else set())
        if loading(self._caches, kinds):
            return LOADING_DELAY
        self._notices.greet(rollout)
        resolved = self._workloads.resolve(rollout)
        if not leaving and await claim(resolved.rollout, self._caches, self._cluster):
            return 0.0
        await let_go(key, rollout.metadata.uid, self._caches, self._cluster)
        sight = self._eye.look(rollout, resolved, await self._pods(key, resolved.rollout))
        self._notices.verification(key, rollout, sight)
        silence = silences(sight.named.routers, sight.found)
        plan = self._decide(sight.seen)
        try:
            if silence is not None and silence.blind and not sight.seen.problems:
                raise RoutingError([silence])
            written = await carry_out(plan, sight, self._cluster, self._gate)
        except TiphysError as error:
            if await self._gives_up(sight, error):
                return None
            await self._report_failure(key, sight.seen, error)
            raise
        if leaving:
            await leave(rollout, sight, plan, self._caches, self._cluster, self._naming.routers_of)
            return self._next_look(key, plan.wake_at)
        self._note_contests(key, rollout, sight, written)
        if silence is not None and not _rests(plan.status):
            raise RoutingError([silence])
        await leave(rollout, sight, plan, self._caches, self._cluster, self._naming.routers_of)
        if _rests(plan.status):
            await release(key, rollout, self._caches, self._cluster, self._naming)
        self._conflicts.pop(key, None)
        self._said.pop(key, None)
        self._note_end(rollout.status, plan.status)
        return self._next_look(key, plan.wake_at)

    async def _after_its_end(self, key: Key) -> float | None:
        """Let go of what a Rollout that is gone has left its mark on."""
        if loading(self._caches, (ROLLOUT_KIND, REPLICA_SET_KIND)):
            return LOADING_DELAY
        await let_go(key, "", self._caches, self._cluster)
        waits = await release(key, None, self._caches, self._cluster, self._naming)
        return RELEASE_DELAY if waits else None

    async def _pods(self, key: Key, rollout: Rollout) -> Sequence[Pod] | None:
        """Read the pods where a restart is due, some lack metadata, or some are late: too rare needs to watch every pod of a cluster."""
        selector = rollout.spec.selector
        if selector is None:
            return None
        if restart_due(rollout, self._clock.now()):
            return await self._cluster.pods(key, selector.text(), purpose="see which pods are older than restartAt")
        if any(names.PODS_METADATA in found.metadata.annotations for found in self._caches.owned(rollout.metadata.uid)):
            return await self._cluster.pods(key, selector.text(), purpose="see which pods lack metadata of their version")
        if pods_are_late(rollout, self._caches.owned(rollout.metadata.uid), self._clock.now()):
            with contextlib.suppress(KubeError):  # only a message is poorer without them
                return await self._cluster.pods(key, selector.text(), purpose="see why pods do not become available")
        return None

    def _next_look(self, key: Key, wake_at: datetime | None) -> float:
        resync = self._resync * (0.8 + 0.4 * (crc32(str(key).encode()) % 1000) / 1000)
        if wake_at is None:
            return resync
        return min(resync, max(SOONEST_WAKE, (wake_at - self._clock.now()).total_seconds()))

    def _note_end(self, before: RolloutStatus, after: RolloutStatus) -> None:
        """Measure the attempts that a status that was written ends."""
        for attempt in attempts_ended(before.duration, after.duration):
            self._telemetry.finished(attempt)

    def _note_contests(self, key: Key, rollout: Rollout, sight: Sight, written: Sequence[tuple[Ref, Said]]) -> None:
        """Warn of objects that somebody keeps changing back."""
        for ref, said in written:
            if self._contention.wrote(key, ref, said, self._clock.monotonic()):
                message = words.overwritten(str(ref), times=OFTEN, by=rival(sight.found.get(ref)))
                self._tell(rollout, Event(reason=Reason.OBJECT_OVERWRITTEN, message=message, type=EventType.WARNING))

    # How a pass ends

    def _settled(self, key: Key, wake_in: float | None) -> None:
        if self._contention.hot(key, self._clock.monotonic()):
            self._queue.hold(key, HOLD)
        elif wake_in == 0.0:
            self._queue.again(key)
        else:
            self._queue.settle(key, wake_in=wake_in)

    def _conflict(self, key: Key, error: Exception) -> None:
        """Look again at once, a few times; then wait like after any failure."""
        self._telemetry.conflicted()
        self._conflicts[key] = self._conflicts.get(key, 0) + 1
        if self._conflicts[key] <= CONFLICTS_AT_ONCE:
            self._queue.again(key)
            return
        log.info("conflicts", rollout=key.name, namespace=key.namespace, times=self._conflicts[key], problem=str(error))
        self._retry(key)

    def _routing_failed(self, key: Key, error: RoutingError) -> None:
        if all(isinstance(each, ConflictError) for each in error.errors):
            self._conflict(key, error)
            return
        wait = max((each.retry_after or 0.0 for each in error.errors if isinstance(each, ThrottledError)), default=0.0)
        if _passes_by_itself(error):
            self._retry(key, at_least=wait)
        else:
            event = Event(reason=Reason.TRAFFIC_ROUTING_ERROR, message=str(error), type=EventType.WARNING)
            self._failed(key, event, at_least=wait)

    def _failed(self, key: Key, event: Event, *, at_least: float = 0.0) -> None:
        """Tell *event*, once for as long as the same failure lasts, and look again after a delay."""
        self._count_failure(key)
        if self._said.get(key) != event.message:
            self._said[key] = event.message
            log.warning("pass failed", rollout=key.name, namespace=key.namespace, reason=event.reason.value, problem=event.message)
            rollout = self._caches.rollout(key)
            if rollout is not None:
                self._tell(rollout, event)
        self._retry(key, at_least=at_least)

    def _broke(self, key: Key, error: Exception) -> None:
        """Tell about an error of our own: with its traceback once per place and Rollout."""
        place = _place(error)
        self._telemetry.broke(key)
        if (key, place) not in self._traced:
            self._traced.add((key, place))
            log.error("error of our own", rollout=key.name, namespace=key.namespace, place=place, exc_info=error)
        self._failed(key, _reconciliation_error(f"{type(error).__name__}: {error}"))

    def _count_failure(self, key: Key) -> None:
        if self._there(key):
            self._telemetry.failed(key)

    def _there(self, key: Key) -> bool:
        """Whether a Rollout exists: what is still done for one that is gone is not measured, because nothing would ever forget it."""
        return self._caches.rollout(key) is not None or self._caches.broken(key) is not None

    def _retry(self, key: Key, *, at_least: float = 0.0) -> None:
        self._queue.retry(key, at_least=at_least)

    async def _gives_up(self, sight: Sight, error: TiphysError) -> bool:
        """Let a Rollout go that is being deleted, if what its owner wants to be put back has failed for long enough."""
        plan = None if _passes_by_itself(error) else give_up(sight.seen, str(error))
        if plan is None:
            return False
        await carry_out(plan, sight, self._cluster, self._gate)
        return True

    # What a failed pass still writes

    async def _report_failure(self, key: Key, seen: Observed, error: TiphysError) -> None:
        """
        Write what stays true although the pass failed, so that a write that never succeeds does not end in silence.

        A server that is away or asks for patience is told nothing, and after a conflict the next look comes at once.
        """
        rollout = self._caches.rollout(key)
        if rollout is None or _passes_by_itself(error):
            return
        match error:
            case TakenNameError(name=name, count=count):
                log.info("name taken", rollout=key.name, namespace=key.namespace, replica_set=name, collision_count=count)
                status = msgspec.structs.replace(rollout.status, collision_count=count)
                await self._write_status(key, rollout, status, purpose=f"collision count {count}: {name} is taken")
            case CreationError(name=name):
                if self._said.get(key) != str(error):
                    told = not_created(rollout, name, str(error.error), seen.now)
                    await self._write_report(key, rollout, told, purpose=f"condition: ReplicaSet {name} cannot be created")
                    self._said[key] = str(error)
            case _:
                report = self._standstill(seen)
                if report is not None:
                    await self._write_report(key, rollout, report, purpose="what stays true although the pass failed")

    # A Rollout that does not decode

    async def _report_unreadable(self, key: Key, unreadable: Unreadable) -> float | None:
        """
        Say in its status and by an event which fields of a Rollout are wrong; nothing else happens to it.

        What is wrong in the status itself is dropped. One that is being deleted is let go of: nobody can tell what its owner wants to be
        put back.
        """
        if self._read.get(key) == unreadable.version:
            return None
        raw = await self._cluster.reread(key, rollout_ref(key), purpose="see which field does not decode")
        if raw is None:
            return None
        rollout, errors = as_far_as_readable(key, raw)
        repair = repair_of(rollout, raw, errors)
        if rollout.metadata.deletion_timestamp is not None:
            await let_go_unread(key, rollout, self._cluster)
        elif not errors:
            return LOADING_DELAY
        elif repair is not None:
            patch, event = repair
            purpose = "drop what cannot be read from the status"
            await self._cluster.patch(key, rollout_ref(key), patch, subresource="status", purpose=purpose)
            self._tell(rollout, event)
            return STALE_DELAY
        else:
            told = invalid(rollout, errors, self._clock.now())
            await self._write_report(key, rollout, told, purpose="condition: the Rollout does not decode")
        self._read[key] = rollout.metadata.resource_version
        return None

    # Writing

    async def _write_report(self, key: Key, rollout: Rollout, told: Report, *, purpose: str) -> None:
        await self._write_status(key, rollout, told.status, purpose=purpose)
        for event in told.events:
            self._tell(rollout, event)

    async def _write_status(self, key: Key, rollout: Rollout, status: RolloutStatus, *, purpose: str) -> None:
        """Write a status beside the plan; a failure to do so is left to the next pass."""
        patch = status_patch(rollout.status, status)
        if not patch:
            return
        patch = {**patch, "metadata": {"resourceVersion": rollout.metadata.resource_version}}
        try:
            await self._cluster.patch(key, rollout_ref(key), patch, subresource="status", purpose=purpose)
        except TiphysError as error:
            log.info("status not written", rollout=key.name, namespace=key.namespace, purpose=purpose, problem=str(error))
        else:
            self._note_end(rollout.status, status)

    def _tell(self, rollout: Rollout, event: Event) -> None:
        self._cluster.tell(about(rollout), event)


def _rests(status: RolloutStatus) -> bool:
    """Whether no other version is on its way: only then may a Service be let go of."""
    return bool(status.stable_rs) and status.stable_rs == status.current_pod_hash


def _passes_by_itself(error: Exception) -> bool:
    """Whether only time or another look helps, and there is nothing to tell anybody."""
    if isinstance(error, RoutingError):
        return all(_passes_by_itself(each) for each in error.errors)
    return isinstance(error, ConflictError | CredentialError | NotFoundError | ThrottledError | UnauthorizedError | UnreachableError)


def _reconciliation_error(text: str) -> Event:
    return Event(reason=Reason.RECONCILIATION_ERROR, message=words.reconciliation_failed(text), type=EventType.WARNING)


def _place(error: Exception) -> str:
    """Name where an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__
