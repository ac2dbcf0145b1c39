"""Does Traefik's traffic follow a canary from the image change to its promotion, without one failed request?"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tiphys.api.meta import Manifest
from traefik_shop import Shop, objects, shop_with


def step_and_pause(weight: int) -> list[Manifest]:
    return [{"setWeight": weight}, {"pause": {}}]


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    steps: list[Manifest] = [each for weight in (20, 50, 100) for each in step_and_pause(weight)]
    async with shop_with(tmp_path, objects(steps)) as running:
        yield running


async def test_the_share_of_requests_is_that_of_the_steps_and_none_fails(shop: Shop) -> None:
    stable = shop.rollout()["status"]["stableRS"]
    await shop.share(100, stable)

    shop.set_image("2")
    for step, weight in ((1, 20), (3, 50), (5, 100)):
        await shop.phase("Paused", step=step)
        canary = shop.rollout()["status"]["currentPodHash"]
        assert shop.weights() == {"web-stable": 100 - weight, "web-canary": weight}
        await shop.share(weight, canary)
        shop.promote()
    await shop.phase("Healthy")
    await shop.share(100, canary)
    await shop.load.stop()

    assert shop.weights() == {"web-stable": 100, "web-canary": 0}
    assert canary != stable
    assert shop.load.failures == []
    assert {answer.pod_hash for answer in shop.load.answers} == {stable, canary}
