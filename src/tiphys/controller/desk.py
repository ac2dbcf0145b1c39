"""How is a product asked without a pass waiting for it?"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from tiphys.api.meta import Manifest
from tiphys.controller.inquiries import Answered, AskError, Outcome
from tiphys.kube.clock import Clock, within
from tiphys.traffic.router import Question

AT_ONCE: Final = 8
"""How many questions are on their way to one product at most."""
PATIENCE: Final = 30.0
"""Seconds after which a question counts as not answered."""

Watcher = Callable[[str, bool, float], None]
"""Is told who was asked, whether there was an answer, and how many seconds it took."""

log = structlog.get_logger("tiphys.controller")


class Asker(Protocol):
    """Knows one API that can be asked what the traffic does."""

    async def ask(self, request: Mapping[str, Any]) -> Manifest:
        """
        Give the answer to *request*, as plain JSON; the router that asks says what stands in both.

        Raises:
            AskError: nobody answered, or not so that it could be understood.

        """

    async def close(self) -> None:
        """Let go of connections."""


class Background:
    """
    Asks in tasks of its own: only so many of one product at once, and each only so long.

    *askers* are found by the `via` of a question; *watcher* is told of each question's end. A product that is
    slow keeps nobody from asking another.
    """

    def __init__(
        self, askers: Mapping[str, Asker], clock: Clock, *, watcher: Watcher, at_once: int = AT_ONCE, patience: float = PATIENCE
    ) -> None:
        self._askers = askers
        self._clock = clock
        self._watcher = watcher
        self._room = {via: asyncio.Semaphore(at_once) for via in askers}
        self._patience = patience
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, question: Question, answered: Answered) -> None:
        """Begin to ask, and call *answered* later: with the answer or with what went wrong."""
        task = asyncio.create_task(self._work(question, answered), name=f"ask {question.via}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is on its way, and let go of connections."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for asker in self._askers.values():
            await asker.close()

    async def _work(self, question: Question, answered: Answered) -> None:
        asker = self._askers.get(question.via)
        if asker is None:
            answered(AskError(f"nobody here can ask it: {question.via!r} is not among {sorted(self._askers)}"))
            return
        async with self._room[question.via]:
            began = self._clock.monotonic()
            outcome = await self._ask(asker, question)
        self._watcher(question.via, not isinstance(outcome, AskError), self._clock.monotonic() - began)
        answered(outcome)

    async def _ask(self, asker: Asker, question: Question) -> Outcome:
        try:
            return await within(self._clock, self._patience, asker.ask(question.request))
        except AskError as error:
            return error
        except TimeoutError:
            return AskError(f"no answer within {self._patience:g} s")
        except Exception as error:
            # A bug of ours in asking is no confirmation, and must not end the process.
            log.exception("error of our own", via=question.via)
            return AskError(f"{type(error).__name__}: {error}")
