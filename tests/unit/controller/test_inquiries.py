from clocks import VirtualClock
from tiphys.api.meta import Manifest
from tiphys.controller.inquiries import Answered, AskError, Heard, Inquiries
from tiphys.kube.store import Key
from tiphys.traffic.router import Question

WEB, API = Key("default", "web"), Key("default", "api")
ONE = Question(key="one", via="balancer", request={"name": "one"})
TWO = Question(key="two", via="balancer", request={"name": "two"})
YES: Manifest = {"weight": 20}
ILL = AskError("HTTP 503")


class Counter:
    """A desk: what is asked lies there until a test answers it."""

    def __init__(self) -> None:
        self.pending: list[tuple[str, Answered]] = []
        self.begun: list[str] = []

    def begin(self, question: Question, answered: Answered) -> None:
        self.begun.append(question.key)
        self.pending.append((question.key, answered))

    def answer(self, outcome: Manifest | AskError = YES) -> None:
        _, answered = self.pending.pop(0)
        answered(outcome)


class Office:
    """Inquiries with a clock that a test moves, and the list of those who were woken."""

    def __init__(self) -> None:
        self.clock, self.desk = VirtualClock(), Counter()
        self.woken: list[Key] = []
        self.inquiries = Inquiries(self.desk, self.clock, interval=10.0)
        self.inquiries.inform(self.woken.append)

    def wait(self, key: Key = WEB, *questions: Question, since: int = 0) -> float | None:
        """Want an answer, and give the seconds until the next question."""
        due = self.inquiries.want(key, questions or (ONE,), since)
        return None if due is None else (due - self.clock.now()).total_seconds()

    def after(self, seconds: float, since: int = 0) -> int:
        """Let time pass, want again, and count what has begun so far."""
        self.clock.jump(seconds)
        self.wait(since=since)
        return len(self.desk.begun)


def test_a_question_is_on_its_way_once_whoever_waits_and_wakes_them_all() -> None:
    office = Office()

    office.wait(WEB)
    office.wait(API)
    office.wait(WEB)
    office.desk.answer()

    assert office.desk.begun == ["one"]
    assert office.woken == [API, WEB]


def test_an_answer_speaks_of_what_was_before_its_question_and_not_of_later() -> None:
    office = Office()
    before = office.inquiries.moment()
    office.wait(since=before)
    after = office.inquiries.moment()
    office.desk.answer()

    assert office.inquiries.heard([ONE], before) == Heard(answers={"one": YES}, at=office.clock.now())
    assert office.inquiries.heard([ONE], after) == Heard(answers={}, missing=("balancer has not answered yet",))


def test_what_nobody_asked_is_missing() -> None:
    assert Office().inquiries.heard([ONE], 0).missing == ("balancer has not answered yet",)


def test_after_a_no_the_interval_passes_with_a_spread_before_the_next_question() -> None:
    office = Office()
    office.wait()
    office.desk.answer()

    wait = office.wait()

    assert wait is not None
    assert 8 <= wait <= 12
    assert office.after(wait - 0.01) == 1
    assert office.after(0.02) == 2


def test_what_was_written_meanwhile_is_asked_about_sooner() -> None:
    office = Office()
    office.wait()
    office.desk.answer()

    wait = office.wait(since=office.inquiries.moment())

    assert wait is not None
    assert 1.6 <= wait <= 2.4


def test_errors_double_the_distance_up_to_a_limit_and_an_answer_ends_that() -> None:
    office = Office()
    waits = []
    office.wait()
    for _ in range(8):
        office.desk.answer(ILL)
        wait = office.wait()
        assert wait is not None
        waits.append(wait)
        office.after(wait + 0.01)

    assert [round(wait / 10) for wait in waits[:3]] == [1, 2, 4], waits
    assert all(96 <= wait <= 144 for wait in waits[-3:]), waits
    office.desk.answer()
    last = office.wait()
    assert last is not None
    assert last <= 12


def test_an_error_is_told_with_who_was_asked_also_after_a_write() -> None:
    office = Office()
    office.wait()
    office.desk.answer(ILL)

    heard = office.inquiries.heard([ONE], office.inquiries.moment())

    assert heard == Heard(answers={}, missing=("balancer: HTTP 503",), errors=("balancer: HTTP 503",))


def test_an_error_hides_an_older_answer() -> None:
    office = Office()
    office.wait()
    office.desk.answer()
    office.after(12.1)
    office.desk.answer(ILL)

    assert office.inquiries.heard([ONE], 0).answers == {}


def test_whoever_rests_is_not_woken_any_more() -> None:
    office = Office()
    office.wait(WEB)
    office.wait(API)

    office.inquiries.rest(WEB)
    office.desk.answer()

    assert office.woken == [API]


def test_of_several_questions_the_soonest_decides_and_all_that_are_due_begin() -> None:
    office = Office()
    office.wait(WEB, ONE)
    office.desk.answer(ILL)
    office.after(13)
    office.desk.answer(ILL)

    wait = office.wait(WEB, ONE, TWO)

    assert office.desk.begun == ["one", "one", "two"]
    assert wait is not None
    assert 16 <= wait <= 24


def test_patience_stretches_the_interval() -> None:
    office = Office()
    office.wait()
    office.desk.answer()

    due = office.inquiries.want(WEB, (ONE,), 0, patience=30)

    assert due is not None
    assert 240 <= (due - office.clock.now()).total_seconds() <= 360


def test_patience_with_a_product_that_is_ill_ends_with_a_write() -> None:
    office = Office()
    office.wait()
    office.desk.answer(ILL)

    patient = office.inquiries.want(WEB, (ONE,), 0, patience=30)
    after_a_write = office.inquiries.want(WEB, (ONE,), office.inquiries.moment(), patience=30)

    assert patient is not None
    assert (patient - office.clock.now()).total_seconds() >= 240
    assert after_a_write is not None
    assert (after_a_write - office.clock.now()).total_seconds() <= 12


def test_what_nobody_waits_for_is_forgotten_after_a_while() -> None:
    office = Office()
    office.wait(WEB, ONE)
    office.desk.answer()
    office.inquiries.rest(WEB)

    office.clock.jump(700)
    office.wait(API, TWO)

    assert office.inquiries.heard([ONE], 0).answers == {}
    assert office.inquiries.heard([TWO], 0).missing
