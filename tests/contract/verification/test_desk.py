"""Is a question asked in the background, in time, and never more than a few at once?"""

import asyncio
from collections.abc import Mapping
from typing import Any

from clocks import VirtualClock, let_run
from tiphys.api.meta import Manifest
from tiphys.controller.desk import Background
from tiphys.controller.inquiries import AskError, Outcome
from tiphys.controller.telemetry import Telemetry
from tiphys.traffic.router import Question


class Product:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False
        self.answers: asyncio.Queue[Outcome | Exception] = asyncio.Queue()

    async def ask(self, request: Mapping[str, Any]) -> Manifest:
        del request
        self.asked += 1
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed = True


def question(number: int = 0, via: str = "product") -> Question:
    return Question(key=f"{number}", via=via, request={})


def desk_of(clock: VirtualClock, products: dict[str, Product], telemetry: Telemetry | None = None, **limits: Any) -> Background:  # noqa: ANN401 - numbers
    return Background(products, clock, watcher=(telemetry or Telemetry()).asked, **limits)


async def test_an_answer_and_an_error_come_back_and_are_counted() -> None:
    product, clock, outcomes, telemetry = Product(), VirtualClock(), list[Outcome](), Telemetry()
    desk = desk_of(clock, {"product": product}, telemetry)

    for answer in ({"weight": 1}, AskError("HTTP 503")):
        product.answers.put_nowait(answer)
        desk.begin(question(), outcomes.append)
        await let_run()

    assert outcomes[0] == {"weight": 1}
    assert str(outcomes[1]) == "HTTP 503"
    page = telemetry.page().decode()
    for outcome in ("answer", "error"):
        assert f'tiphys_verification_question_seconds_count{{outcome="{outcome}",via="product"}} 1.0' in page


async def test_a_product_that_does_not_answer_is_given_up_in_time() -> None:
    product, clock, outcomes = Product(), VirtualClock(), list[Outcome]()
    desk = desk_of(clock, {"product": product}, patience=30)
    desk.begin(question(), outcomes.append)

    await clock.advance(29)
    before = list(outcomes)
    await clock.advance(2)

    assert before == []
    assert [str(outcome) for outcome in outcomes] == ["no answer within 30 s"]


async def test_only_so_many_are_on_their_way_at_once() -> None:
    product, clock, outcomes = Product(), VirtualClock(), list[Outcome]()
    desk = desk_of(clock, {"product": product}, at_once=2)
    for number in range(5):
        desk.begin(question(number), outcomes.append)
    await let_run()
    at_first = product.asked

    for _ in range(5):
        product.answers.put_nowait({})
        await let_run()

    assert at_first == 2
    assert (product.asked, len(outcomes)) == (5, 5)


async def test_a_product_that_is_slow_keeps_nobody_from_asking_another() -> None:
    slow, quick, clock, outcomes = Product(), Product(), VirtualClock(), list[Outcome]()
    desk = desk_of(clock, {"slow": slow, "quick": quick}, at_once=2)
    for number in range(5):
        desk.begin(question(number, via="slow"), outcomes.append)
    quick.answers.put_nowait({"weight": 1})

    desk.begin(question(via="quick"), outcomes.append)
    await let_run()

    assert outcomes == [{"weight": 1}]
    await desk.stop()


async def test_a_bug_in_asking_and_a_product_that_nobody_knows_are_errors() -> None:
    product, clock, outcomes = Product(), VirtualClock(), list[Outcome]()
    desk = desk_of(clock, {"product": product})
    product.answers.put_nowait(KeyError("weight"))

    desk.begin(question(), outcomes.append)
    desk.begin(question(via="stranger"), outcomes.append)
    await let_run()

    assert sorted(str(outcome) for outcome in outcomes) == [
        "KeyError: 'weight'",
        "nobody here can ask it: 'stranger' is not among ['product']",
    ]


async def test_stopping_ends_what_is_on_its_way_and_lets_go_of_the_product() -> None:
    product, clock, outcomes = Product(), VirtualClock(), list[Outcome]()
    desk = desk_of(clock, {"product": product})
    desk.begin(question(), outcomes.append)
    await let_run()

    await desk.stop()

    assert (outcomes, product.closed) == ([], True)
