"""Does a canary wait for what the load balancer really does, and come to the right end whatever that says?"""

from itertools import pairwise

import pytest

from balancer import Balancer
from scenarios import PAUSE_STEP, Story, app, told, weight
from tiphys.controller.inquiries import AskError
from tiphys.core.actions import Why

pytestmark = pytest.mark.one_life("what one process asks and is answered")

STEPS = (weight(20), weight(60))
ILL = AskError("balancer is ill: HTTP 503")


def verified(story: Story) -> bool | None:
    weights = story.status.canary.weights
    return None if weights is None else weights.verified


def warnings(story: Story) -> list[str]:
    return [message for kind, reason, message in story.controller.told.events if (kind, reason) == ("Warning", "WeightVerifyError")]


def unanswered(story: Story) -> list[str]:
    return [] if story.last is None else [because.found for because in story.last.because if because.why is Why.NOT_VERIFIED]


def test_a_balancer_that_obeys_lets_the_update_through() -> None:
    story = told(*STEPS, product=Balancer())

    story.set_image("2")
    story.rest()

    assert (story.phase, story.stable, story.weights) == ("Healthy", "2", (100, 0))
    assert verified(story) is True
    assert story.sizes == {"2": 5}
    assert story.onlooker.problems == []


def test_each_weight_waits_until_the_balancer_follows() -> None:
    balancer = Balancer(noes=3)
    story = told(*STEPS, product=balancer)
    story.set_image("2")

    story.until_weight(20)
    story.advance(15)
    held = (story.weights, story.status.current_step_index, verified(story), unanswered(story)[0])
    story.until_weight(60)

    assert held[:3] == ((80, 20), 0, False)
    assert held[3].startswith("istio gives the canary 0, and 20 is wanted (at 20"), held[3]
    assert balancer.does["istio"] == 20
    story.rest()
    assert (story.phase, story.stable, verified(story)) == ("Healthy", "2", True)
    assert story.onlooker.problems == []


def test_between_two_questions_lies_the_interval() -> None:
    balancer = Balancer(noes=4, seconds=0.5)
    story = told(*STEPS, product=balancer)
    story.set_image("2")
    story.until_weight(20)
    balancer.asks.clear()

    story.until_weight(60)

    times = [at for at, _ in balancer.asks]
    gaps = [(after - before).total_seconds() - 0.5 for before, after in pairwise(times)]
    assert len(gaps) >= 3, gaps
    assert all(8 <= gap <= 12.1 for gap in gaps), gaps
    assert len(set(gaps)) == len(gaps), "there is a spread"


def test_a_rollout_at_rest_asks_nothing_even_after_a_restart() -> None:
    balancer = Balancer()
    story = told(*STEPS, product=balancer)
    story.set_image("2")
    story.rest()
    balancer.asks.clear()
    story.forget()

    story.advance(4000)
    story.controller.restart()
    story.advance(4000)

    assert balancer.asks == []
    assert story.controller.api.done == []
    assert verified(story) is True


def test_an_update_that_begins_asks_although_the_status_says_that_the_rest_was_confirmed() -> None:
    balancer = Balancer()
    story = told(weight(20), product=balancer)
    story.set_image("2")
    story.rest()
    story.controller.restart()
    balancer.answer = lambda _router: {"canary": 50}
    balancer.asks.clear()

    story.set_image("3")
    story.advance(60)

    assert balancer.asks
    assert (story.weights, story.selectors, verified(story)) == ((100, 0), ("2", "2"), False)


def test_a_pause_asks_nothing_once_its_weight_is_confirmed() -> None:
    balancer = Balancer()
    story = told(weight(20), PAUSE_STEP, product=balancer)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    balancer.asks.clear()
    story.forget()

    story.advance(4000)

    assert balancer.asks == []
    assert story.controller.api.done == []


def test_an_answer_to_a_question_of_before_the_write_confirms_nothing() -> None:
    balancer = Balancer(seconds=5)
    story = told(weight(20), PAUSE_STEP, product=balancer)
    story.set_image("2")
    story.until_weight(20)
    written = story.cluster.now

    story.until_phase("Paused", "CanaryPauseStep")

    asked = [at for at, _ in balancer.asks if at >= written]
    assert asked, "somebody asked after the write"
    assert (story.cluster.now - asked[0]).total_seconds() >= 5


def test_an_error_holds_the_step_and_is_told_once() -> None:
    balancer = Balancer()
    story = told(*STEPS, product=balancer)
    story.set_image("2")
    story.until_weight(20)
    balancer.answer = lambda _router: ILL
    story.advance(120)

    assert (story.weights, story.status.current_step_index, verified(story)) == ((80, 20), 0, False)
    assert warnings(story) == ["the traffic cannot be verified: balancer: balancer is ill: HTTP 503"]
    assert "balancer: balancer is ill: HTTP 503" in unanswered(story)
    balancer.answer = None
    story.rest()
    assert (story.phase, story.stable, verified(story)) == ("Healthy", "2", True)
    assert len(warnings(story)) == 1

    story.set_image("3")
    story.until_weight(20)
    balancer.answer = lambda _router: ILL
    story.advance(30)
    assert len(warnings(story)) == 2, "a new trouble is told again"


def test_errors_are_asked_about_less_and_less_often() -> None:
    balancer = Balancer(seconds=0.5)
    story = told(weight(20), PAUSE_STEP, product=balancer)
    story.edit_spec(progressDeadlineSeconds=3600)
    story.set_image("2")
    story.until_weight(20)
    balancer.answer = lambda _router: ILL
    balancer.asks.clear()

    story.advance(900)

    times = [at for at, _ in balancer.asks]
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert 7 <= len(gaps) <= 14, gaps
    assert gaps[-1] > 90, gaps


def test_a_balancer_that_never_answers_ends_at_the_deadline_and_is_named() -> None:
    balancer = Balancer()
    story = told(*STEPS, product=balancer)
    balancer.answer = lambda _router: None
    story.set_image("2")

    story.rest()

    assert story.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert story.message("Progressing").endswith("has timed out progressing. The traffic is not verified: balancer: no answer within 30 s")
    assert story.phase == "Degraded"
    assert story.sizes["1"] == 5
    assert story.onlooker.problems == []


def test_the_deadline_aborts_where_that_is_asked_for_and_names_the_last_answer() -> None:
    balancer = Balancer(noes=10_000)
    story = told(*STEPS, product=balancer, spec={"progressDeadlineAbort": True, "progressDeadlineSeconds": 120})
    story.set_image("2")
    story.until_weight(20)

    story.until(lambda: story.status.abort)
    story.until_weight(0)

    assert "The traffic is not verified: istio gives the canary 0, and 20 is wanted" in story.message("Progressing")
    assert story.onlooker.problems == []


def test_promotion_and_the_old_pods_wait_for_the_final_state() -> None:
    balancer = Balancer()
    story = told(weight(20), product=balancer)
    story.set_image("2")
    story.until_weight(100)
    balancer.noes = 10_000
    balancer.does["istio"] = 20
    story.advance(200)
    held = (story.stable, story.weights, story.sizes)

    balancer.noes = 0
    balancer._noes_left.clear()
    story.until(lambda: story.stable == "2")
    balancer.noes, balancer.does["istio"] = 10_000, 20
    story.until_weight(0)
    story.advance(400)
    last = (story.sizes, verified(story), unanswered(story))

    assert held == ("1", (0, 100), {"1": 5, "2": 5})
    assert last[:2] == ({"1": 5, "2": 5}, False)
    assert last[2]
    balancer.noes = 0
    balancer._noes_left.clear()
    story.rest()
    assert (story.sizes, verified(story), story.phase) == ({"2": 5}, True, "Healthy")
    assert story.onlooker.problems == []


@pytest.mark.parametrize("trouble", ["silent", "ill", "no"])
def test_an_abort_is_not_held_back(trouble: str) -> None:
    balancer = Balancer()
    story = told(weight(50), PAUSE_STEP, product=balancer)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    balancer.answer = {"silent": lambda _router: None, "ill": lambda _router: ILL, "no": lambda _router: {"canary": 50}}[trouble]
    began = story.cluster.now

    story.abort()
    story.until_weight(0)

    assert (story.cluster.now - began).total_seconds() < 1
    story.advance(300)
    assert story.sizes == {"1": 5, "2": 3}, "nobody confirmed that the canary gets nothing"
    balancer.answer = None
    story.rest()
    assert story.sizes.get("2", 0) == 0
    assert story.onlooker.problems == []


def test_a_foreign_edit_of_the_object_is_asked_about_again() -> None:
    balancer = Balancer()
    story = told(weight(20), PAUSE_STEP, product=balancer)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    balancer.asks.clear()

    story.controller.edit(("networking.istio.io", "VirtualService"), "web", {"metadata": {"labels": {"team": "a"}}})
    story.advance(30)

    assert len(balancer.asks) == 1
    assert verified(story) is True


@pytest.mark.one_life("deaths of its own")
@pytest.mark.parametrize("after", range(5, 17, 2))
def test_it_ends_the_same_when_the_controller_dies(after: int) -> None:
    balancer = Balancer(noes=2)
    story = Story(app(*STEPS), product=balancer, prepare=lambda controller: controller.api.deaths.add(after))
    story.rest()
    story.set_image("2")

    story.rest()

    assert (story.phase, story.stable, story.weights, verified(story), story.sizes) == ("Healthy", "2", (100, 0), True, {"2": 5})
    assert story.onlooker.problems == []


def test_a_balancer_that_is_ill_when_an_update_begins_holds_it_before_any_weight() -> None:
    """What the status says was confirmed is about earlier objects: the canary's Service moves only once its weight of 0 is confirmed."""
    balancer = Balancer()
    story = told(*STEPS, product=balancer)
    balancer.answer = lambda _router: ILL
    story.set_image("2")

    story.advance(120)
    assert (story.weights, story.selected("web-canary")) == ((100, 0), "1")
    assert "balancer: balancer is ill: HTTP 503" in unanswered(story)
    balancer.answer = None
    story.rest()

    assert (story.phase, story.stable) == ("Healthy", "2")
    assert story.onlooker.problems == []
