"""A client that sends requests through a development cluster's proxy, and what its tests wait for."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from devcluster_objects import replica_set, service
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kinds import ENDPOINT_SLICES, REPLICA_SETS, SERVICES
from tiphys.devcluster.resources import ResourceType


@dataclass
class Client:
    """Sends requests through the first proxy and remembers who answered."""

    cluster: DevCluster
    session: aiohttp.ClientSession
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    async def ask(self, path: str = "/", *, host: str = "web", method: str = "GET", **headers: str) -> tuple[int, str]:
        """Give status and version; a failure is remembered."""
        named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.request(method, self.cluster.proxies[0].url + path, headers=named, allow_redirects=False) as answer:
            body = await answer.text()
            version = answer.headers.get("x-version", body)
            if answer.status != 200:
                self.failures.append(f"{answer.status} {body}")
            self.answers[version] += 1
            return answer.status, version

    async def many(self, count: int, *, at_once: int = 8, **headers: str) -> Counter[str]:
        """Send *count* requests and count the versions that answered."""
        before = Counter(self.answers)
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                await self.ask(**headers)

        await asyncio.gather(*[work() for _ in range(at_once)])
        return self.answers - before


async def eventually(mesh: DevCluster, holds: Callable[[], bool], *resources: ResourceType) -> None:
    """Wait for *holds*, looking again after every change of *resources*."""
    async with asyncio.timeout(20):
        subscriptions = [mesh.store.watch(resource) for resource in resources]
        while not holds():
            waits = [asyncio.ensure_future(each.wait()) for each in subscriptions]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            for each in subscriptions:
                each.drain()


def ready(mesh: DevCluster, name: str) -> int:
    slices = mesh.store.scan(ENDPOINT_SLICES, labels={"kubernetes.io/service-name": name})
    return sum(each["conditions"]["ready"] for stored in slices for each in stored.manifest["endpoints"])


async def deploy(mesh: DevCluster, **versions: int) -> None:
    """Start pods of each version with a Service that has the version's name, and wait until the proxies can reach them."""
    for version, replicas in versions.items():
        mesh.store.create(REPLICA_SETS, replica_set(f"web-{version}", version=version, replicas=replicas))
        mesh.store.create(SERVICES, service(version, {"version": version}))
    await eventually(mesh, lambda: all(ready(mesh, version) == replicas for version, replicas in versions.items()), ENDPOINT_SLICES)
    await mesh.applied()


def within_four_deviations(measured: int, of: int, share: float) -> bool:
    return abs(measured - of * share) <= 4 * math.sqrt(of * share * (1 - share))
