"""Whose pods answer at a URL, and how often?"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tiphys.api.meta import Manifest
from tiphys.controller.inquiries import AskError
from tiphys.kube.clock import Clock

PER_SECOND: Final = 50.0
AT_ONCE: Final = 8
SETTLE_SECONDS: Final = 1.0
"""A round begins so much after it was asked for: a proxy hears of a weight that was written just now, and old connections end."""
ROUND_SECONDS: Final = 25.0
"""A round ends here, with the answers that came: later ones are no requests of this round."""
REQUEST_SECONDS: Final = 5.0
LARGEST_BODY: Final = 65536
_HASH: Final = re.compile(r"[a-z0-9]{1,20}")
"""Only what may be a pod hash is ever repeated: nothing else of an answer leaves this module."""


@dataclass(slots=True)
class _Count:
    """What a round came to so far."""

    hashes: Counter[str] = field(default_factory=Counter)
    unnamed: int = 0
    failed: int = 0
    error: str = ""

    def told(self, pod_hash: str | None) -> None:
        if pod_hash is not None and _HASH.fullmatch(pod_hash):
            self.hashes[pod_hash] += 1
        else:
            self.unnamed += 1

    def lost(self, error: str) -> None:
        self.failed += 1
        self.error = error


class Prober:
    """
    Sends rounds of requests and counts the answers by the pod hash they tell.

    Each request has a connection of its own, so that a proxy which balances connections is measured too. No redirect is followed, no
    cookie kept, no body read beyond a limit, and none logged. A round sends at most *per_second* requests a second.
    """

    def __init__(
        self, clock: Clock, *, per_second: float = PER_SECOND, settle: float = SETTLE_SECONDS, round_seconds: float = ROUND_SECONDS
    ) -> None:
        self._clock = clock
        self._settle = settle
        self._distance = 1 / per_second
        self._round = round_seconds

    async def ask(self, request: Mapping[str, Any]) -> Manifest:
        """
        Give `requests`, `counts` by pod hash, how many answers were `unnamed`, and how many requests `failed` with the last `error`.

        Raises:
            AskError: no request was answered.

        """
        await self._clock.sleep(self._settle)
        count = _Count()
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(force_close=True, limit=AT_ONCE)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            try:
                async with asyncio.timeout(self._round):
                    await self._send_all(session, request, count)
            except TimeoutError:
                missing = request["requests"] - count.hashes.total() - count.unnamed - count.failed
                count.failed += missing
                count.error = f"the round took longer than {self._round:g} s"
        if count.failed == request["requests"]:
            raise AskError(f"{request['url']}: none of {count.failed} requests was answered: {count.error}")
        return {
            "requests": request["requests"],
            "counts": dict(sorted(count.hashes.items())),
            "unnamed": count.unnamed,
            "failed": count.failed,
            "error": count.error,
        }

    async def close(self) -> None:
        """Keep nothing between two rounds."""

    async def _send_all(self, session: aiohttp.ClientSession, request: Mapping[str, Any], count: _Count) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            try:
                await self._send(session, request, count)
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            for _ in range(request["requests"]):
                await room.acquire()
                group.create_task(one())
                await self._clock.sleep(self._distance)

    async def _send(self, session: aiohttp.ClientSession, request: Mapping[str, Any], count: _Count) -> None:
        try:
            async with session.request(
                request["method"], request["url"], headers=request["headers"], allow_redirects=False, raise_for_status=False
            ) as answer:
                if request["hashHeader"]:
                    count.told(answer.headers.get(request["hashHeader"], "").strip())
                else:
                    count.told(_field(await answer.content.read(LARGEST_BODY + 1), request["hashField"]))
        except TimeoutError:
            count.lost(f"no answer within {REQUEST_SECONDS:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            count.lost(str(error) or type(error).__name__)


def _field(body: bytes, path: str) -> str | None:
    """Find the field at *path*, names joined by dots, in a JSON body that is not too large."""
    if len(body) > LARGEST_BODY:
        return None
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None
