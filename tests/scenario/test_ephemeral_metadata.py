"""Labels and annotations that a version's pods carry for a while, and terms that keep versions apart. (Lifecycle reference 3.9, 3.12.)"""

from typing import Any

from scenarios import PAUSE_STEP, POD, REPLICA_SET, Story, at_rest, blue_green_app, template, told, weight
from tiphys.api import names
from tiphys.api.meta import Manifest

CANARY = {"labels": {"role": "canary"}, "annotations": {"team.example/watch": "yes"}}
STABLE = {"labels": {"role": "stable"}}


def marked(**fields: Any) -> Story:  # noqa: ANN401 - any JSON
    return told(weight(20), PAUSE_STEP, **{"canaryMetadata": CANARY, "stableMetadata": STABLE, **fields})


def roles(story: Story) -> dict[str, set[str | None]]:
    """Give the role that each version's running pods are labelled with."""
    found: dict[str, set[str | None]] = {}
    for pod in story.cluster.pods({}):
        if "deletionTimestamp" not in pod["metadata"]:
            version = story.version_of(pod["metadata"]["labels"][names.HASH_LABEL])
            found.setdefault(version, set()).add(pod["metadata"]["labels"].get("role"))
    return found


def pod_metadata(story: Story, version: str) -> Manifest:
    metadata: Manifest = story.replica_sets[version]["spec"]["template"]["metadata"]
    return metadata


def test_the_first_version_is_marked_as_stable_from_its_first_pod_on() -> None:
    story = marked()

    assert roles(story) == {"1": {"stable"}}
    assert story.annotations("1")[names.EPHEMERAL_METADATA] == '{"labels":{"role":"stable"}}'


def test_each_version_is_marked_by_its_role_and_the_promoted_one_changes_its_mark_without_a_restart() -> None:
    story = marked()
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    assert roles(story) == {"1": {"stable"}, "2": {"canary"}}
    assert pod_metadata(story, "2")["annotations"] == {"team.example/watch": "yes"}

    story.promote()
    story.until(lambda: story.stable == "2")
    before = story.pods("2")
    story.rest()

    assert roles(story) == {"2": {"stable"}}
    assert story.pods("2") == before
    assert "annotations" not in pod_metadata(story, "2") or not pod_metadata(story, "2")["annotations"]
    assert names.PODS_METADATA not in story.annotations("2")
    assert all("team.example/watch" not in (pod["metadata"].get("annotations") or {}) for pod in story.cluster.pods({}))


def test_an_aborted_version_keeps_its_mark() -> None:
    story = marked(abortScaleDownDelaySeconds=0)
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    story.abort()
    story.rest()

    assert roles(story) == {"1": {"stable"}, "2": {"canary"}}


def test_43_marks_that_leave_the_spec_leave_the_pods_whichever_was_taken_out() -> None:
    """The reference leaves them where both are gone from the spec (12.5)."""
    story = marked()

    story.edit_canary(stableMetadata=None, canaryMetadata=None)
    story.rest()

    assert roles(story) == {"1": {None}}
    assert names.EPHEMERAL_METADATA not in story.annotations("1")
    assert "role" not in pod_metadata(story, "1")["labels"]


def test_43_marks_of_the_canary_alone_that_leave_the_spec_take_exactly_the_recorded_keys_along() -> None:
    story = marked()
    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")
    (pod,) = story.pods("2")
    story.controller.edit(POD, pod, {"metadata": {"labels": {"mine": "yes"}}})
    story.controller.edit(
        REPLICA_SET, story.replica_sets["2"]["metadata"]["name"], {"spec": {"template": {"metadata": {"labels": {"mine": "yes"}}}}}
    )
    before = pod_metadata(story, "2")["labels"]

    story.edit_canary(canaryMetadata=None)
    story.rest()

    labels = story.controller.manifest(POD, pod)["metadata"]["labels"]
    assert before == {**pod_metadata(story, "2")["labels"], "role": "canary"}
    assert not pod_metadata(story, "2").get("annotations")
    assert (labels.get("role"), labels["mine"], labels["app"]) == (None, "yes", "web")
    assert "team.example/watch" not in (story.controller.manifest(POD, pod)["metadata"].get("annotations") or {})
    assert (story.pods("2"), roles(story)["1"]) == ([pod], {"stable"})


def test_a_value_of_the_template_itself_comes_back_when_the_mark_goes() -> None:
    """The reference takes it away (12.5 #2916)."""
    own = template("1")
    own["metadata"]["labels"]["role"] = "own"
    story = marked(spec={"template": own})
    assert roles(story) == {"1": {"stable"}}

    story.edit_canary(stableMetadata=None)
    story.rest()

    assert roles(story) == {"1": {"own"}}
    assert names.HIDDEN_METADATA not in story.annotations("1")


def test_marks_start_no_revision() -> None:
    story = marked()

    story.edit_canary(stableMetadata={"labels": {"role": "main"}})
    story.rest()

    assert roles(story) == {"1": {"main"}}
    assert list(story.replica_sets) == ["1"]
    assert story.phase == "Healthy"


def test_a_mark_on_a_label_of_the_selector_is_refused() -> None:
    story = marked(canaryMetadata={"labels": {"app": "other"}})

    assert "spec.strategy.canaryMetadata.labels[app]" in story.message("InvalidSpec")


def test_blue_green_marks_preview_and_active() -> None:
    marks: dict[str, Any] = {"previewMetadata": {"labels": {"role": "preview"}}, "activeMetadata": {"labels": {"role": "active"}}}
    story = at_rest(blue_green_app(autoPromotionEnabled=False, **marks))
    story.set_image("2")
    story.until_phase("Paused", "BlueGreenPause")
    assert roles(story) == {"1": {"active"}, "2": {"preview"}}

    story.promote()
    story.rest()

    assert roles(story) == {"2": {"active"}}


def test_45_pods_of_a_version_on_its_way_keep_away_from_stable_pods_and_the_term_stays_after_the_promotion() -> None:
    story = told(weight(50), PAUSE_STEP, antiAffinity={"requiredDuringSchedulingIgnoredDuringExecution": {}})
    assert "affinity" not in story.replica_sets["1"]["spec"]["template"]["spec"]

    story.set_image("2")
    story.until_phase("Paused", "CanaryPauseStep")

    affinity = story.replica_sets["2"]["spec"]["template"]["spec"]["affinity"]
    (term,) = affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term == {
        "labelSelector": {"matchExpressions": [{"key": names.HASH_LABEL, "operator": "In", "values": [story.hash_of("1")]}]},
        "namespaces": ["default"],
        "topologyKey": "kubernetes.io/hostname",
    }
    story.promote()
    story.rest()
    assert (story.phase, story.stable) == ("Healthy", "2")
    assert story.replica_sets["2"]["spec"]["template"]["spec"]["affinity"] == affinity


def test_45_a_term_that_names_another_stable_version_is_replaced_and_the_users_own_stay() -> None:
    own = {"weight": 7, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "noisy"}}}}
    spread = template("1")
    spread["spec"]["affinity"] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [own]}}
    story = told(antiAffinity={"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 3}}, spec={"template": spread})

    def update(image: str) -> None:
        story.edit_spec(template={**spread, "spec": {**spread["spec"], "containers": template(image)["spec"]["containers"]}})
        story.rest()

    update("2")
    update("3")
    update("2")

    terms = story.replica_sets["2"]["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert terms[0] == own
    assert [each["podAffinityTerm"]["labelSelector"]["matchExpressions"][0]["values"] for each in terms[1:]] == [[story.hash_of("3")]]
    assert sorted(story.replica_sets) == ["1", "2", "3"]
