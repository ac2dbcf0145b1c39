"""Who answers at one entrance, and does anything ever fail?"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

AT_ONCE = 6
"""How many requests of a count are under way at a time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent and answered (monotonic seconds), its headers' text, and the hash of the pod, or the *problem*."""

    sent: float
    answered: float
    asked: str
    pod_hash: str
    problem: str = ""


@dataclass(slots=True)
class Prober:
    """Asks *url* for *host*: steadily, *rate* times a second whatever the answers are, and as often as wanted when something is counted."""

    session: aiohttp.ClientSession
    url: str
    host: str
    rate: float
    answers: list[Answer] = field(default_factory=list)
    requests: int = 0
    also: Mapping[str, str] = field(default_factory=dict)
    """Headers that every second of the steady requests carries."""
    _task: asyncio.Task[None] | None = None
    _open: set[asyncio.Task[str]] = field(default_factory=set)

    def start(self) -> None:
        """Begin to ask steadily."""
        self._task = asyncio.create_task(self._keep_asking(), name="prober")

    async def stop(self) -> None:
        """Ask no more, and wait for the answers still on their way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*self._open)

    async def ask(self, headers: Mapping[str, str]) -> str:
        """Give the hash of the pod that answers; nothing if the request fails, which is remembered."""
        sent, self.requests = time.monotonic(), self.requests + 1
        try:
            async with self.session.get(self.url, headers={"Host": self.host, **headers}) as response:
                await response.read()
                problem = "" if response.status == 200 else f"HTTP {response.status}"
                pod_hash = "" if problem else response.headers.get("x-hash", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            problem, pod_hash = f"{type(error).__name__}: {error}", ""
        if problem:
            problem = f"{problem} from {self.url} for {self.host} {dict(headers)}"
        self.answers.append(Answer(sent, time.monotonic(), _text(headers), pod_hash, problem))
        return pod_hash

    async def count(self, number: int, headers: Mapping[str, str]) -> Counter[str]:
        """Ask *number* times, and count who answered."""
        found: Counter[str] = Counter()
        left = iter(range(number))

        async def work() -> None:
            for _ in left:
                found[await self.ask(headers)] += 1

        await asyncio.gather(*[work() for _ in range(AT_ONCE)])
        return found

    def since(self, begin: float, headers: Mapping[str, str]) -> Counter[str]:
        """Count who answered all requests with these headers that were sent after *begin*, steady ones too."""
        return Counter(answer.pod_hash for answer in self.answers if answer.sent >= begin and answer.asked == _text(headers))

    async def _keep_asking(self) -> None:
        due, turn = time.monotonic(), 0
        while True:
            due, turn = due + 1 / self.rate, turn + 1
            task = asyncio.create_task(self.ask(self.also if turn % 2 else {}))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def _text(headers: Mapping[str, str]) -> str:
    return ",".join(f"{name}={headers[name]}" for name in sorted(headers))
