"""Lives of Rollouts, recorded for those who ask what other programs read of them: each is played once, in virtual time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from scenarios import BETA, PAUSE_STEP, ROLLOUT, SHADOW, Story, app, blue_green_app, pause, scale, template, weight
from tiphys.api.meta import Manifest
from tiphys.devcluster.kinds import REPLICA_SETS
from tiphys.kube.errors import api_error

Told = tuple[str, str, str]
"""Type, reason and message of an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """
    What was told, every version of the Rollout that anybody could read, some of them by name, and the samples of the last scrape.

    Hashes are written as `<version>`.
    """

    events: tuple[Told, ...]
    versions: tuple[Manifest, ...]
    moments: Mapping[str, Manifest]
    samples: tuple[Sample, ...]

    @property
    def ended(self) -> dict[str, int]:
        """How many updates ended, by how they did, as the metrics tell."""
        found = [sample for sample in self.samples if sample.name == "rollout_duration_seconds_count"]
        return {sample.labels["status"]: int(sample.value) for sample in found}

    @property
    def conditions(self) -> set[tuple[str, str, str, str]]:
        """Every condition that was ever read: type, status, reason, message."""
        found = (cond for version in self.versions for cond in version.get("status", {}).get("conditions", ()))
        return {(cond["type"], cond["status"], cond["reason"], cond["message"]) for cond in found}

    @property
    def phases(self) -> set[tuple[str, str]]:
        """Every phase that was ever read, with its message."""
        statuses = [version.get("status", {}) for version in self.versions]
        return {(status["phase"], status.get("message", "")) for status in statuses if "phase" in status}


@dataclass
class Recording:
    """A story of which everything is kept that others can read."""

    story: Story
    moments: dict[str, Manifest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        store = self.story.cluster.store
        kind = next(each for each in store.registry if (each.group, each.kind) == ROLLOUT)
        self._changes = store.watch(kind)
        telemetry, caches = self.story.controller.telemetry, self.story.controller.caches
        telemetry.watch_rollouts(caches.rollouts.values)
        self._hashes: dict[str, str] = {}

    def note(self, moment: str) -> None:
        """Keep the Rollout as it is read now."""
        self.learn()
        self.moments[moment] = self.story.controller.manifest(ROLLOUT, "web")

    def learn(self) -> None:
        """Remember which hash is which version: a ReplicaSet may be deleted later."""
        self._hashes |= {found["metadata"]["labels"]["rollouts-pod-template-hash"]: name for name, found in self.story.replica_sets.items()}

    def end(self) -> Life:
        self.learn()
        versions = tuple(event.manifest for event in self._changes.drain())
        self._changes.close()
        page = self.story.controller.telemetry.page().decode()
        return Life(
            events=tuple((kind, reason, self._named(message)) for kind, reason, message in self.story.controller.told.events),
            versions=tuple(self._read(version) for version in versions),
            moments={name: self._read(version) for name, version in self.moments.items()},
            samples=tuple(sample for family in text_string_to_metric_families(page) for sample in family.samples),
        )

    def _named(self, text: str) -> str:
        for pod_hash, version in self._hashes.items():
            text = text.replace(pod_hash, f"<{version}>")
        return text

    def _read(self, version: Manifest) -> Manifest:
        named: Manifest = json.loads(self._named(json.dumps(version)))
        return named


@cache
def plain() -> Life:
    """A canary of one pod without a router: deployed, updated to a pause, aborted, retried, done, ill and well again, deleted."""
    told = Recording(Story(app(weight(50), pause(3), replicas=1, routing="none")))
    story = told.story
    story.rest()
    told.note("deployed")
    story.set_image("2")
    told.note("edited")
    story.until_phase("Paused", "CanaryPauseStep")
    told.note("paused")
    story.abort()
    story.rest()
    told.note("aborted")
    story.retry()
    told.note("retry asked for")
    story.rest()
    told.note("updated")
    story.make_ill("2", 1)
    story.advance(1)
    told.note("ill")
    story.make_well("2")
    story.rest()
    told.note("well")
    story.controller.delete(ROLLOUT, "web")
    story.advance(1)
    return told.end()


@cache
def routed() -> Life:
    """A canary behind Istio with a step of each kind, held by its owner, promoted by hand, then restarted and scaled."""
    steps = (
        scale(replicas=1), {"setHeaderRoute": BETA}, {"setMirrorRoute": SHADOW}, scale(weight=50), scale(matchTrafficWeight=True),
        weight(25), PAUSE_STEP, weight(50), pause("10s"),
    )  # fmt: skip
    told = Recording(Story(app(*steps, replicas=4)))
    story = told.story
    story.rest()
    story.set_image("2-slow-5s")
    story.until_phase("Progressing")
    story.advance(1)
    told.note("canary starts")
    story.until_phase("Paused", "CanaryPauseStep")
    story.pause()
    story.advance(1)
    told.note("held")
    story.resume()
    story.advance(1)
    told.note("paused")
    story.promote()
    told.note("promotion asked for")
    story.until_weight(50)
    story.rest()
    told.note("updated")
    story.edit_spec(restartAt="2100-01-01T00:00:00Z")
    story.advance(1)
    told.note("restarting")
    story.edit_spec(restartAt=None, replicas=6)
    told.note("scaled")
    story.advance(1)
    told.note("growing")
    story.rest()
    told.note("grown")
    return told.end()


@cache
def superseded() -> Life:
    """Versions that replace each other in mid-update: a newer one, an older one, stable again; and one back within the window."""
    told = Recording(Story(app(weight(50), PAUSE_STEP, replicas=2)))
    story = told.story
    story.rest()
    for image in ("2", "3"):
        _updated_to(story, image)
        story.promote_full()
        told.note("full promotion asked for")
        story.rest()
    for image in ("4", "5", "2"):
        story.advance(100)
        _updated_to(story, image)
    told.note("older")
    story.promote()
    story.rest()
    told.note("rolled back")
    _updated_to(story, "6")
    _updated_to(story, "2")
    told.note("stable again")
    story.rest()
    told.note("back at stable")
    _updated_to(story, "7")
    story.promote_full()
    story.rest()
    story.edit_spec(rollbackWindow={"revisions": 9})
    _updated_to(story, "6")
    told.note("within the window")
    story.rest()
    return told.end()


def _updated_to(story: Story, image: str) -> None:
    """Change the image, and wait until the controller has acted upon it (a canary at its pause, where it has one)."""
    story.set_image(image)
    story.until(lambda: story.version_of(story.status.current_pod_hash) == image)
    story.advance(5)


@cache
def blue_green() -> Life:
    """A blue-green Rollout with a person at the gate: deployed, paused, promoted, aborted, back within the delay."""
    told = Recording(Story(blue_green_app(autoPromotionEnabled=False, replicas=2)))
    story = told.story
    story.rest()
    told.note("deployed")
    story.set_image("2-slow-5s")
    story.until_phase("Progressing")
    story.advance(1)
    told.note("preview starts")
    story.until_phase("Paused", "BlueGreenPause")
    told.note("paused")
    story.promote()
    told.note("promotion asked for")
    story.until_phase("Healthy")
    told.note("updated")
    story.advance(1)
    story.set_image("1")
    story.rest()
    told.note("back")
    story.set_image("3")
    story.until_phase("Paused", "BlueGreenPause")
    story.abort()
    story.rest()
    told.note("aborted")
    story.retry()
    story.until_phase("Paused", "BlueGreenPause")
    story.promote_full()
    story.rest()
    told.note("fully promoted")
    return told.end()


@cache
def automatic() -> Life:
    """A blue-green Rollout that nobody holds."""
    told = Recording(Story(blue_green_app(replicas=1, preview=False)))
    story = told.story
    story.rest()
    story.set_image("2")
    story.until_phase("Healthy")
    return told.end()


@cache
def late() -> Life:
    """A version that never comes up: late, replaced, and then given up by the controller."""
    told = Recording(Story(app(weight(50), replicas=2, routing="none", spec={"progressDeadlineSeconds": 30})))
    story = told.story
    story.rest()
    story.set_image("2-never-ready")
    story.advance(100)
    told.note("late")
    story.edit_spec(progressDeadlineAbort=True)
    story.rest()
    told.note("given up")
    return told.end()


@cache
def wrong() -> Life:
    """A spec that is wrong, and right again; then no ReplicaSet may be created."""
    told = Recording(Story(app(weight(50), replicas=1, routing="none")))
    story = told.story
    story.rest()
    story.edit_spec(minReadySeconds=-1)
    story.advance(1)
    told.note("wrong")
    story.edit_spec(minReadySeconds=0)
    story.rest()
    told.note("right")
    refused = api_error(403, {"reason": "Forbidden", "message": "no quota"})
    story.controller.api.refuse = lambda verb, plural: refused if (verb, plural) == ("create", REPLICA_SETS.plural) else None
    story.set_image("2")
    story.advance(30)
    told.note("not created")
    story.controller.api.refuse = lambda _verb, _plural: None
    story.rest()
    told.note("created")
    return told.end()


@cache
def found() -> Life:
    """A Rollout whose status was lost while its pod is ill."""
    told = Recording(Story(app(replicas=1, routing="none")))
    story = told.story
    story.rest()
    story.make_ill("1", 1)
    story.advance(1)
    story.controller.edit(ROLLOUT, "web", {"status": None}, subresource="status")
    story.advance(1)
    told.note("found")
    story.make_well("1")
    story.rest()
    told.note("well")
    return told.end()


@cache
def refused() -> Life:
    """An update whose route may not be written, until the controller gives up; that is told although each pass fails."""
    told = Recording(Story(app(weight(50), replicas=1, spec={"progressDeadlineSeconds": 30, "progressDeadlineAbort": True})))
    story = told.story
    story.rest()
    error = api_error(403, {"reason": "Forbidden", "message": "not yours"})
    story.controller.api.refuse = lambda _verb, plural: error if plural == "virtualservices" else None
    story.set_image("2")
    story.advance(300)
    told.note("given up")
    return told.end()


@cache
def workload() -> Life:
    """A Rollout whose template is a Deployment's."""
    *_, rollout = app(replicas=2, routing="none")
    spec = {key: value for key, value in rollout["spec"].items() if key not in {"template", "selector"}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template("1")},
    }
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    told = Recording(Story([deployment, {**rollout, "spec": {**spec, "workloadRef": reference}}]))
    story = told.story
    story.rest()
    told.note("deployed")
    story.controller.edit(("apps", "Deployment"), "web", {"spec": {"template": template("2")}})
    story.rest()
    told.note("updated")
    return told.end()


LIVES: Final[Mapping[str, Callable[[], Life]]] = {
    "plain": plain,
    "routed": routed,
    "superseded": superseded,
    "blue-green": blue_green,
    "automatic": automatic,
    "late": late,
    "wrong": wrong,
    "found": found,
    "refused": refused,
    "workload": workload,
}
