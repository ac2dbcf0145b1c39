"""Which object is looked at next?"""

import asyncio

from clocks import VirtualClock, let_run
from tiphys.controller.queue import LONGEST_DELAY, WorkQueue


def test_a_key_added_twice_is_worked_on_once() -> None:
    queue = WorkQueue[str](VirtualClock())
    queue.add("a")
    queue.add("b")
    queue.add("a")

    assert [queue.take(), queue.take(), queue.take()] == ["a", "b", None]


def test_a_key_is_never_in_two_hands_and_a_change_meanwhile_brings_it_back() -> None:
    queue = WorkQueue[str](VirtualClock())
    queue.add("a")
    assert queue.take() == "a"

    queue.add("a")
    nobody = queue.take()
    queue.settle("a")

    assert (nobody, queue.take(), queue.take()) == (None, "a", None)


def test_keys_take_turns_however_often_one_of_them_comes() -> None:
    queue = WorkQueue[str](VirtualClock())
    queue.add("loud")
    queue.add("quiet")
    taken = []

    for _ in range(4):
        key = queue.take()
        assert key is not None
        taken.append(key)
        queue.again(key)

    assert taken == ["loud", "quiet", "loud", "quiet"]


def test_a_failing_key_waits_twice_as_long_each_time_up_to_ten_seconds() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    queue.add("a")
    delays = []

    for _ in range(16):
        assert queue.take() == "a"
        delays.append(queue.retry("a"))
        clock.jump(delays[-1])
        assert queue.ring() == 1

    assert delays[:4] == [0.001, 0.002, 0.004, 0.008]
    assert delays[-2:] == [LONGEST_DELAY, LONGEST_DELAY]


def test_success_resets_the_delay() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    queue.add("a")
    for _ in range(5):
        queue.take()
        clock.jump(queue.retry("a"))
        queue.ring()
    queue.take()

    queue.settle("a")

    queue.add("a")
    queue.take()
    assert queue.retry("a") == 0.001


def test_changes_do_not_bring_a_failing_key_back_before_its_delay() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    queue.add("a")
    queue.take()
    queue.add("a")
    queue.retry("a", at_least=5.0)

    queue.add("a")
    early = queue.take()
    clock.jump(5.0)
    queue.ring()

    assert (early, queue.take(), queue.take()) == (None, "a", None)


def test_a_key_on_hold_comes_back_once_and_not_before_its_time() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")

    queue.hold("a", 0.2)
    queue.add("a")
    early = queue.take()
    clock.jump(0.2)
    queue.ring()

    assert (early, queue.take(), queue.take(), queue.failures("a")) == (None, "a", None, 0)


def test_a_person_brings_a_failing_key_back_at_once() -> None:
    queue = WorkQueue[str](VirtualClock())
    queue.add("a")
    queue.take()
    queue.retry("a", at_least=5.0)

    queue.hurry("a")

    assert queue.take() == "a"
    assert queue.retry("a") == 0.001


def test_a_new_alarm_replaces_the_old_one() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    queue.add("a")
    queue.take()
    queue.settle("a", wake_in=60.0)
    queue.add("a")
    queue.take()
    queue.settle("a", wake_in=300.0)

    clock.jump(60.0)
    early = queue.ring()
    clock.jump(240.0)

    assert (early, queue.ring(), queue.take()) == (0, 1, "a")


def test_a_forgotten_key_does_not_come_back() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    queue.add("a")
    queue.take()
    queue.settle("a", wake_in=60.0)

    queue.forget("a")
    clock.jump(60.0)

    assert queue.ring() == 0
    assert queue.next_alarm is None


async def test_workers_serve_alarms_in_time_and_leave_after_what_they_began() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    begun = asyncio.Event()
    finish = asyncio.Event()
    done: list[tuple[str, float]] = []

    async def job(key: str) -> None:
        if key == "slow":
            begun.set()
            await finish.wait()
        done.append((key, clock.monotonic()))
        queue.settle(key, wake_in=30.0 if key == "often" and len(done) < 3 else None)

    working = asyncio.create_task(queue.work(job, workers=2))
    queue.add("often")
    await clock.advance(100.0)
    queue.add("slow")
    await begun.wait()
    queue.close()
    await let_run()
    assert not working.done()
    finish.set()
    await working

    assert done == [("often", 0.0), ("often", 30.0), ("often", 60.0), ("slow", 100.0)]


async def test_an_earlier_alarm_does_not_wait_for_a_later_one() -> None:
    clock = VirtualClock()
    queue = WorkQueue[str](clock)
    done: list[tuple[str, float]] = []
    first = {"late": 60.0, "early": 5.0}

    async def job(key: str) -> None:
        done.append((key, clock.monotonic()))
        queue.settle(key, wake_in=first.pop(key, None))

    working = asyncio.create_task(queue.work(job, workers=1))
    queue.add("late")
    await let_run()
    queue.add("early")
    await clock.advance(61.0)
    queue.close()
    await working

    assert done == [("late", 0.0), ("early", 0.0), ("early", 5.0), ("late", 60.0)]
