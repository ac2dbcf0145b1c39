"""How is a steady load kept up, and what came back?"""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent and answered (monotonic seconds), by which pod template hash; no hash if it failed."""

    sent: float
    answered: float
    pod_hash: str
    status: int


@dataclass(slots=True)
class Load:
    """Sends *rate* requests a second to *url*, whatever the answers; latency does not slow it down."""

    url: str
    host: str
    rate: float
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    started: float = 0.0
    warm: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a second's worth of answers is there."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self.started = time.monotonic()
        self._task = asyncio.create_task(self._keep_sending(), name="demo load")

    async def stop(self) -> None:
        """Send no more, and wait for the answers still on their way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def answered(self, count: int, *, since: float) -> list[Answer]:
        """Wait for *count* answers to requests that were sent after *since* (monotonic seconds)."""
        while len(found := [answer for answer in self.answers if answer.sent > since]) < count:
            self._news.clear()
            await self._news.wait()
        return found

    @property
    def failed(self) -> int:
        """How many requests got no good answer."""
        return len(self.failures)

    async def _keep_sending(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers={"Host": self.host}) as session:
            due = time.monotonic()
            try:
                while True:
                    due += 1 / self.rate
                    task = asyncio.create_task(self._ask(session))
                    self._open.add(task)
                    task.add_done_callback(self._open.discard)
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
            finally:
                await asyncio.gather(*self._open, return_exceptions=True)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        sent = time.monotonic()
        try:
            async with session.get(self.url) as response:
                await response.read()
                self.answers.append(Answer(sent, time.monotonic(), response.headers.get("x-hash", ""), response.status))
                self._news.set()
                if len(self.answers) >= self.rate:
                    self.warm.set()
                if response.status >= 400:
                    self.failures.append(f"HTTP {response.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.answers.append(Answer(sent, time.monotonic(), "", 0))
            self.failures.append(f"{type(error).__name__}: {error}")
