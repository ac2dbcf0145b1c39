"""Does a pass that changes nothing make no request, behind every router?"""

from collections.abc import Sequence

import pytest

from inprocess import InProcessController
from routed_apps import APPS, App, at_rest
from scenarios import ROLLOUT, template
from tiphys.api.meta import Manifest

pytestmark = pytest.mark.one_life("how many requests one process makes")

PASSES = 50
every_app = pytest.mark.parametrize("app", APPS.values(), ids=APPS)


def disturb(controller: InProcessController, manifests: Sequence[Manifest]) -> None:
    """Let *PASSES* passes happen: by changes that are nobody's business here, by a restart, and because it is time to look again."""
    controller.restart()
    controller.cluster.advance(60)
    controller.api.done.clear()
    controller.requests.clear()
    controller.told.events.clear()
    controller.passes = 0
    for number in range(PASSES):
        for manifest in manifests:
            kind = (str(manifest["apiVersion"]).rpartition("/")[0], manifest["kind"])
            # A Rollout's annotations are its ReplicaSets' too, and Traefik chooses IngressRoutes by labels: somebody's business.
            what = "labels" if manifest["kind"] == "Rollout" else "annotations"
            controller.edit(kind, manifest["metadata"]["name"], {"metadata": {what: {"team.example/seen": str(number)}}})
        controller.cluster.advance(1)
        if number % 10 == 0:
            controller.cluster.advance(1100)


@every_app
def test_at_rest(app: App) -> None:
    steps = app.steps({"pause": {}})
    controller = at_rest(app, *steps)

    disturb(controller, app.manifests(*steps))

    assert controller.passes >= PASSES
    assert (controller.requests, controller.api.done, controller.told.events) == ([], [], [])


@every_app
def test_in_the_middle_of_an_update_that_waits_for_a_person(app: App) -> None:
    steps = app.steps({"pause": {"duration": 1}}, {"pause": {}})
    controller = at_rest(app, *steps)
    controller.edit(ROLLOUT, "web", {"spec": {"template": template("2")}})
    controller.cluster.advance(60)
    assert controller.rollout().status.phase == "Paused"

    disturb(controller, app.manifests(*steps))

    assert controller.passes >= PASSES
    assert (controller.requests, controller.api.done, controller.told.events) == ([], [], [])
    assert controller.rollout().status.phase == "Paused"
