"""What can be done to one cell's Rollout, and what is expected of its traffic?"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from conformance.objects import differences, not_ours, put, without
from conformance.prober import Prober
from conformance.rows import SHOP, Row
from conformance.world import World
from tiphys.api.codec import decode_rollout
from tiphys.api.meta import Manifest
from tiphys.api.names import HASH_LABEL
from tiphys.cli.patches import ABORT, Skip, promotion
from tiphys.core.intent import Feature
from tiphys.devcluster.kinds import PODS, REPLICA_SETS
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.proxies.proxy import Proxy
from tiphys.devcluster.resources import ResourceType

if TYPE_CHECKING:
    from asyncio.subprocess import Process

PATIENCE: Final = 90.0
"""How long (seconds) anything may take before the cell fails: on a busy machine everything is slow."""
RATE: Final = 12.0
EDGE: Final = 3
"""Requests by which an exact share may be off, those under way when the counting began; a reload costs one more."""
DEVIATIONS: Final = 4
ATTEMPTS: Final = 20
"""How often an exact share is counted in the hope that the proxy keeps its configuration meanwhile."""
MOMENTS: Final = 25
"""About how many changes a release makes up to its first pause."""
EVERYBODY: Final[Mapping[str, str]] = {}
"""The headers of requests that no header route wants."""


class BrokenPromiseError(Exception):
    """A cell found something else than it wanted."""

    def __init__(self, what: str, *, wanted: object, found: object) -> None:
        super().__init__(f"{what}: wanted {wanted}, found {found}")


class Scene:
    """One Rollout in a namespace of its own, with a prober at each of its row's entrances."""

    def __init__(self, world: World, row: Row, namespace: str, *, supports: frozenset[Feature], seen: bool, chance: random.Random) -> None:
        self.world = world
        self.row = row
        self.namespace = namespace
        self.supports = supports
        self.kept: dict[tuple[str, str], Manifest] = {}
        """By kind and name: what has to be there in the end, as `not_ours` shows it."""
        self.gaps: list[tuple[float, float]] = []
        """Times in which the product had nobody to send to."""
        self._chance = chance
        self._process: Process | None = None
        self.probers = {
            entrance.plane: Prober(
                world.session, world.cluster.proxy(entrance.plane).url, entrance.host.replace("$namespace", namespace), RATE
            )
            for entrance in (row.entrances if seen else ())
        }

    # --- what people do ---

    def kind(self, name: str, group: str = "") -> ResourceType:
        """Find a served kind."""
        return next(each for each in self.world.cluster.kinds.values() if each.kind == name and group in {"", each.group})

    def create(self, manifest: Manifest) -> None:
        """Create an object as its owner would."""
        store = self.world.cluster.store
        store.create(store.registry.of_manifest(manifest), manifest, namespace=self.namespace, manager="kubectl")

    def set_version(self, version: str) -> None:
        """Change the image."""
        template = self.rollout()["spec"]["template"]
        template["spec"]["containers"][0]["image"] = f"registry.example/{SHOP}:{version}"
        self._patch({"spec": {"template": template}})

    def promote(self, skip: Skip = Skip.NO) -> None:
        """Do what `tiphys promote` does."""
        asked = promotion(decode_rollout(msgspec.json.encode(self.rollout())), skip).status
        if asked is None:
            raise BrokenPromiseError("promote", wanted="a Rollout that can be promoted", found=self.where())
        self._patch(asked, subresource="status")

    def abort(self) -> None:
        """Do what `tiphys abort` does."""
        self._patch(ABORT, subresource="status")

    def evict(self, pod_hash: str) -> int:
        """Delete every pod of *pod_hash* at once, and tell how many there were."""
        store = self.world.cluster.store
        victims = store.scan(PODS, namespace=self.namespace, labels={HASH_LABEL: pod_hash})
        for victim in victims:
            store.delete(PODS, victim.name, namespace=self.namespace)
        return len(victims)

    def _patch(self, patch: Mapping[str, Any], *, subresource: str = "") -> None:
        kind = self.kind("Rollout")
        store = self.world.cluster.store
        store.patch(kind, SHOP, PatchKind.MERGE, dict(patch), namespace=self.namespace, subresource=subresource, manager="kubectl")

    async def start_a_controller(self) -> None:
        """Start the controller that the Rollout has to itself."""
        self._process = await self.world.another_controller(self.namespace)

    async def kill_the_controller(self, rest: Callable[[Manifest], bool]) -> None:
        """Kill it after a random number of changes to anything in the namespace, or when the Rollout has come to *rest* before that."""
        store = self.world.cluster.store
        kinds = [self.kind("Rollout"), REPLICA_SETS, PODS, *(self.kind(kind) for kind in self.row.kinds)]
        changes = [store.watch(kind, namespace=self.namespace) for kind in kinds]
        left = self._chance.randint(1, MOMENTS)
        for each in changes:
            each.drain()
        try:
            async with asyncio.timeout(PATIENCE):
                while (left := left - sum(len(each.drain()) for each in changes)) > 0 and not rest(self.rollout()):
                    await _first(*(each.wait() for each in changes))
        except TimeoutError as error:
            raise BrokenPromiseError("before the controller is killed", wanted="a release under way", found=self.where()) from error
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    def edit_foreign_fields(self) -> None:
        """Change what is not ours in every route object, as somebody with kubectl would."""
        for (kind, name), kept in self.kept.items():
            edits = [edit for edit in self.row.edits if edit.kind == kind]
            resource = self.kind(kind)
            manifest = self.world.cluster.store.get(resource, name, namespace=self.namespace)
            for edited in (manifest, kept):
                edited["metadata"].setdefault("annotations", {})["shop.example/edited"] = "by hand"
                for edit in edits:
                    put(edited, edit)
            self.world.cluster.store.update(resource, manifest, manager="kubectl")

    # --- what is there ---

    def rollout(self) -> Manifest:
        """Read the Rollout as it is now."""
        return self.world.cluster.store.get(self.kind("Rollout"), SHOP, namespace=self.namespace)

    def status(self) -> Manifest:
        """Read the Rollout's status."""
        found: Manifest = self.rollout().get("status", {})
        return found

    @property
    def stable(self) -> str:
        """The stable hash."""
        return str(self.status().get("stableRS", ""))

    @property
    def canary(self) -> str:
        """The hash of the current template."""
        return str(self.status().get("currentPodHash", ""))

    def where(self) -> str:
        """Say in a line where the Rollout stands."""
        status = self.status()
        weights = status.get("canary", {}).get("weights", {})
        conditions = [each["message"] for each in status.get("conditions", ()) if each["type"] == "InvalidSpec"]
        return (
            f"phase {status.get('phase')}, step {status.get('currentStepIndex')}, weight {weights.get('canary', {}).get('weight')}, "
            f"verified {weights.get('verified')}, {status.get('message') or 'no message'} {' '.join(conditions)}"
        )

    @property
    def requests(self) -> int:
        """How many requests were sent, through all entrances."""
        return sum(prober.requests for prober in self.probers.values())

    def copies(self, pod_hash: str) -> int:
        """Count the requests that pods of *pod_hash* got without a client of ours getting the answer."""
        counts = [each for each in self.world.cluster.counts() if (each.namespace, each.hash) == (self.namespace, pod_hash)]
        answered = sum(answer.pod_hash == pod_hash for prober in self.probers.values() for answer in prober.answers)
        return sum(each.requests + each.mirrored for each in counts) - answered

    def keep(self) -> None:
        """Remember the route objects and Services as they are now: so they have to be in the end."""
        for kind in self.row.kinds:
            for stored in self.world.cluster.store.scan(self.kind(kind), namespace=self.namespace):
                self.kept.setdefault((kind, stored.name), not_ours(stored.manifest, self.row.own_annotations))

    def expect_kept(self, *, weights: bool) -> None:
        """Expect what was remembered and nothing else, but for our own fields; with *weights* those of them too."""
        for kind in self.row.kinds:
            names = {stored.name for stored in self.world.cluster.store.scan(self.kind(kind), namespace=self.namespace)}
            if more := sorted(names - {name for known, name in self.kept if known == kind}):
                raise BrokenPromiseError(f"{kind} objects afterwards", wanted="no others than before", found=", ".join(more))
        for (kind, name), kept in self.kept.items():
            stored = self.world.cluster.store.read(self.kind(kind), name, self.namespace)
            if stored is None:
                raise BrokenPromiseError(f"{kind} {name} afterwards", wanted="what was there", found="nothing")
            ours = () if weights else ("weight",)
            found = not_ours(stored.manifest, self.row.own_annotations)
            for path, wanted, there in differences(without(kept, *ours), without(found, *ours)):
                raise BrokenPromiseError(f"{kind} {name} afterwards, {path}", wanted=wanted, found=there)

    @property
    def last_step(self) -> int:
        """The index of the last step."""
        return len(self.rollout()["spec"]["strategy"]["canary"]["steps"]) - 1

    # --- what is waited for ---

    @asynccontextmanager
    async def meanwhile(self, holds: Callable[[Manifest], bool], what: str) -> AsyncIterator[None]:
        """Watch from before the body on, and wait after it until some state of the Rollout since then fulfilled *holds*."""
        subscription = self.world.cluster.store.watch(self.kind("Rollout"), namespace=self.namespace)
        subscription.drain()
        try:
            yield
            async with asyncio.timeout(PATIENCE):
                async for event in subscription:
                    if holds(event.manifest):
                        return
        except TimeoutError as error:
            raise BrokenPromiseError(f"within {PATIENCE:.0f} s", wanted=what, found=self.where()) from error
        finally:
            subscription.close()

    async def until(self, holds: Callable[[Manifest], bool], what: str) -> None:
        """Wait until the Rollout fulfils *holds*."""
        if not holds(self.rollout()):
            async with self.meanwhile(holds, what):
                pass

    async def healthy(self) -> None:
        """Wait until the current template is stable, at rest, and everybody acts upon it."""

        def holds(rollout: Manifest) -> bool:
            status = rollout.get("status", {})
            current = status.get("currentPodHash")
            return bool(
                status.get("phase") == "Healthy"
                and current
                and current == status.get("stableRS")
                and status.get("observedGeneration") == str(rollout["metadata"]["generation"])
                and weight_of(rollout) == 0
            )

        await self.until(holds, "Healthy")
        await self.applied()

    async def paused(self, *, at: int, weight: int, before: str = "") -> None:
        """Wait until the Rollout pauses at step *at* with *weight* written for another hash than *before*, and everybody acts upon it."""

        def holds(rollout: Manifest) -> bool:
            status = rollout.get("status", {})
            return bool(
                status.get("phase") == "Paused"
                and status.get("currentStepIndex") == at
                and status.get("pauseConditions")
                and weight_of(rollout) == weight
                and status.get("currentPodHash") != before
                and status["canary"]["weights"].get("verified") is not False
            )

        await self.until(holds, f"Paused at step {at} with weight {weight}")
        await self.applied()

    async def aborted(self) -> None:
        """Wait until the Rollout is given up, the canary has no weight, and everybody acts upon it."""
        await self.until(lambda found: found["status"].get("phase") == "Degraded" and weight_of(found) == 0, "Degraded with weight 0")
        await self.applied()

    async def gone(self, pod_hash: str) -> None:
        """Wait until no pod of *pod_hash* is left."""
        store = self.world.cluster.store
        subscription = store.watch(PODS, namespace=self.namespace)
        try:
            async with asyncio.timeout(PATIENCE):
                while store.scan(PODS, namespace=self.namespace, labels={HASH_LABEL: pod_hash}):
                    await subscription.wait()
                    subscription.drain()
        except TimeoutError as error:
            raise BrokenPromiseError(f"pods of {pod_hash}", wanted="none", found="some") from error
        finally:
            subscription.close()

    @asynccontextmanager
    async def without_pods(self) -> AsyncIterator[None]:
        """Wait after the body until the canary has no weight; a product with a gap may fail requests from its beginning until it knows."""
        begin = time.monotonic()
        async with self.meanwhile(lambda rollout: weight_of(rollout) == 0, "weight 0 once the canary has no pods"):
            yield
        await self.applied()
        if self.row.gap:
            self.gaps.append((begin, time.monotonic()))

    def failures(self) -> tuple[list[str], int]:
        """Give what failed, and how many requests failed in a gap besides."""
        failed = [answer for prober in self.probers.values() for answer in prober.answers if answer.problem]
        in_gap = [
            answer
            for answer in failed
            if answer.problem.startswith("HTTP 503") and any(answer.answered >= begin and answer.sent <= end for begin, end in self.gaps)
        ]
        return [answer.problem for answer in failed if answer not in in_gap], len(in_gap)

    async def applied(self) -> None:
        """Wait until every proxy acts upon the objects as they are now."""
        for plane in self.probers:
            await self.world.cluster.proxy(plane).applied()

    # --- what is expected of the traffic ---

    async def shares(self, wanted: Mapping[str, float], headers: Mapping[str, str] = EVERYBODY) -> None:
        """Expect that pods of these hashes, and no others, answer in these shares (which add up to 1), at every entrance."""
        wanted = {pod_hash: share for pod_hash, share in wanted.items() if share}
        for plane, prober in self.probers.items():
            proxy = self.world.cluster.proxy(plane)
            await proxy.applied()
            if proxy.exact and len(wanted) > 1:
                found, edge, quiet = await self._count_exactly(proxy, prober, wanted, headers)
                self._expect_shares(plane, wanted, found, headers, edge=edge, seen=quiet)
            else:
                found = await prober.count(_enough(wanted), headers)
                if len(wanted) > 1 and off(wanted, found) is not None:
                    # What chance does once in 15,000 times it does not do twice; what is wrong is all the plainer among more requests.
                    found = await prober.count(3 * _enough(wanted), headers)
                self._expect_shares(plane, wanted, found, headers)

    async def _count_exactly(
        self, proxy: Proxy, prober: Prober, wanted: Mapping[str, float], headers: Mapping[str, str]
    ) -> tuple[Counter[str], int, bool]:
        """
        Count through a proxy whose shares are exact, if possible while it keeps its configuration.

        It begins to count anew with each reload, also for objects of other cells. Gives what was found, by how much that may be off, and
        whether there was no reload.
        """
        every: Counter[str] = Counter()
        edge, number = EDGE, math.ceil(2 / min(wanted.values()))
        for _ in range(ATTEMPTS):
            begin, before = time.monotonic(), (await proxy.counts()).reloads
            await prober.count(max(100, number), headers)
            found, reloads = prober.since(begin, headers), (await proxy.counts()).reloads - before
            if not reloads:
                return found, EDGE, True
            every, edge = every + found, edge + reloads
        return every, edge, False

    async def all_to(self, pod_hash: str, headers: Mapping[str, str] = EVERYBODY) -> None:
        """Expect that pods of *pod_hash* answer everything."""
        await self.shares({pod_hash: 1.0}, headers)

    def _expect_shares(
        self,
        plane: str,
        wanted: Mapping[str, float],
        found: Counter[str],
        headers: Mapping[str, str],
        *,
        edge: int | None = None,
        seen: bool = True,
    ) -> None:
        """Expect these shares; see `off`."""
        allowed = off(wanted, found, edge=edge, seen=seen)
        if allowed is not None:
            number = found.total()
            what = f"{number} requests through {plane}{f' with {dict(headers)}' if headers else ''}, ± {allowed:.0f}"
            raise BrokenPromiseError(what, wanted=self._named(wanted, number), found=self._named(found, 1))

    def _named(self, counts: Mapping[str, float], number: int) -> str:
        roles = {self.canary: "canary", self.stable: "stable"}
        return ", ".join(f"{roles.get(each, 'other')} {each or 'failed'}: {counts[each] * number:.0f}" for each in sorted(counts))

    async def in_order(self, first: str, second: str) -> None:
        """Expect that the proxies compare the header *first* before *second*."""
        for plane, prober in self.probers.items():
            compared = await self.world.compares(plane, prober.host, (first, second))
            if compared != [first, second]:
                raise BrokenPromiseError(f"headers as {plane} compares them", wanted=[first, second], found=compared)

    async def copied(self, percent: int) -> None:
        """Expect that the canary gets a copy of so many requests, and stable answers all of them."""
        canary, stable = self.canary, self.stable
        for plane, prober in self.probers.items():
            begin = await self.world.cluster.proxy(plane).applied()
            before, asked = self.copies(canary), self.requests
            await prober.count(_enough({stable: percent / 100 or 1.0}), EVERYBODY)
            number, share = self.requests - asked, percent / 100
            allowed = DEVIATIONS * math.sqrt(number * share * (1 - share)) + EDGE
            await self._copies_arrive(canary, before + number * share - allowed)
            found = self.copies(canary) - before
            if abs(found - number * share) > allowed or (share and not found):
                wanted = f"{number * share:.0f} ± {allowed:.0f} copies of {number} requests"
                raise BrokenPromiseError(f"copies through {plane}", wanted=wanted, found=found)
            self._expect_shares(plane, {stable: 1.0}, prober.since(begin, EVERYBODY), EVERYBODY)

    async def _copies_arrive(self, pod_hash: str, wanted: float) -> None:
        """Wait until at least so many copies have arrived; nobody waits for the answers to copies, so that the last ones may be late."""
        try:
            async with asyncio.timeout(5):
                while self.copies(pod_hash) < wanted:  # noqa: ASYNC110 - a pod tells nobody that it was asked
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return


async def _first(*waits: Coroutine[Any, Any, None]) -> None:
    """Wait for the first of *waits*."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def weight_of(rollout: Manifest) -> int | None:
    """Read the canary's weight from the status."""
    weights = rollout.get("status", {}).get("canary", {}).get("weights")
    return None if weights is None else int(weights["canary"]["weight"])


def off(wanted: Mapping[str, float], found: Counter[str], *, edge: int | None = None, seen: bool = True) -> float | None:
    """
    Say by how much a share may be off if one is off by more, else nothing.

    That is *edge* requests, or without it what chance allows. With *seen* nobody's share may be nothing.
    """
    number = found.total()
    for pod_hash in {*wanted, *found}:
        share = wanted.get(pod_hash, 0.0)
        allowed = DEVIATIONS * math.sqrt(number * share * (1 - share)) if edge is None or share in {0, 1} else edge
        if abs(found[pod_hash] - number * share) > allowed + 1e-9 or (seen and share and not found[pod_hash]):
            return allowed
    return None


def _enough(wanted: Mapping[str, float]) -> int:
    """Say how many requests tell these shares from others where chance decides; the smallest share must be seen at all."""
    smallest = min(wanted.values())
    return 60 if smallest == 1.0 else max(400, math.ceil(11 / smallest))
