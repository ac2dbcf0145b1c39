"""Who plays the analysis controller in a story: makes AnalysisRuns, and says what came of them?"""

from collections.abc import Sequence
from typing import Any, Final

from scenarios import Story
from tiphys.api import names
from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Kind
from tiphys.core.runs import Purpose

ANALYSIS_RUN: Final[Kind] = ("argoproj.io", "AnalysisRun")
TEMPLATES: Final[Manifest] = {"templates": [{"templateName": "smoke"}]}
"""An analysis as a Rollout asks for it."""
ANALYSIS_STEP: Final[Manifest] = {"analysis": TEMPLATES}
_SUFFIXES: Final = {Purpose.BACKGROUND: "", Purpose.PRE_PROMOTION: "pre", Purpose.POST_PROMOTION: "post"}


class Analyst:
    """Makes the runs that a story needs, with the names, labels and owner of the real ones."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def begins(self, purpose: Purpose, *, step: int | None = None) -> str:
        """Make a run of the present version, and give its name; a name that is taken gets a number."""
        rollout, pod_hash = self._story.rollout, self._story.status.current_pod_hash
        suffix = _SUFFIXES.get(purpose, str(step))
        plain = names.analysis_run("web", pod_hash, names.revision(rollout.metadata.annotations), suffix)
        taken = {run["metadata"]["name"] for run in self.runs}
        name = next(name for name in (plain, *(f"{plain}.{count}" for count in range(1, 9))) if name not in taken)
        labels = {names.HASH_LABEL: pod_hash, names.ROLLOUT_TYPE_LABEL: purpose.value}
        labels |= {} if step is None else {names.STEP_INDEX_LABEL: str(step)}
        owner = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "name": "web",
            "uid": rollout.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        metric = {"name": "smoke", "provider": {"web": {"url": "http://smoke.example"}}}
        self._story.controller.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AnalysisRun",
                "metadata": {"name": name, "namespace": "default", "labels": labels, "ownerReferences": [owner]},
                "spec": {"metrics": [metric]},
                "status": {"phase": "Running"},
            }
        )
        return name

    def ends(self, name: str, phase: str, message: str = "") -> None:
        """Say what came of a run."""
        self._story.controller.edit(ANALYSIS_RUN, name, {"status": {"phase": phase, "message": message}})

    def answers(self, purpose: Purpose, phase: str, message: str = "", *, step: int | None = None) -> str:
        """Make a run, let it take a while, and end it; gives its name."""
        name = self.begins(purpose, step=step)
        self._story.advance(5)
        self.ends(name, phase, message)
        self._story.advance(1)
        return name

    @property
    def runs(self) -> Sequence[dict[str, Any]]:
        """Give every run there is, by name."""
        store = self._story.cluster.store
        kind = next(each for each in store.registry if (each.group, each.kind) == ANALYSIS_RUN)
        return sorted(store.list(kind, namespace="default").manifests, key=lambda run: str(run["metadata"]["name"]))

    def told_to_end(self, name: str) -> bool:
        """Tell whether a run was asked to end."""
        return bool(self._story.controller.manifest(ANALYSIS_RUN, name)["spec"].get("terminate"))
