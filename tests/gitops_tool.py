"""What does a tool do that keeps a cluster equal to a repository?"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ignore_rules import Rule, stripped
from inprocess import InProcessController
from tiphys.api.meta import Manifest
from tiphys.devcluster.patching import PatchKind
from tiphys.kube.diff import apply_merge_patch, merge_patch

INTERVAL: Final = 1.0
_NATIVE: Final = ("Service", "Ingress")


class Repository:
    """
    The manifests of a user, applied by a tool that heeds *rules*.

    As Argo CD does it with `RespectIgnoreDifferences`: what is ignored is taken from the cluster, by the difference of the object with
    and without it, a list being one value; the rest as `kubectl apply` does it, on the client's side: fields that are not in the
    manifest stay, unless they were in it before. With *whole* the tool replaces the selector of Services, as on the server's side.
    """

    def __init__(
        self, controller: InProcessController, manifests: Sequence[Manifest], rules: Sequence[Rule], *, whole: bool = False
    ) -> None:
        self._controller = controller
        self._applied = {_place(manifest): manifest for manifest in manifests}
        self._manifests = dict(self._applied)
        self._rules = rules
        self._whole = whole
        self.looks = 0
        self.writes: list[str] = []

    def commit(self, manifest: Manifest) -> None:
        """Change an object in the repository."""
        self._manifests[_place(manifest)] = manifest

    def sync(self) -> None:
        """Apply everything once."""
        store = self._controller.cluster.store
        self.looks += 1
        for place, manifest in self._manifests.items():
            kind, name = place
            resource = store.registry.of_manifest(manifest)
            live = store.get(resource, name, namespace="default")
            target = heeding(self._rules, live, manifest)
            patch = _three_way(self._applied[place], target, live)
            if self._whole and kind[1] == "Service" and live["spec"]["selector"] != target["spec"]["selector"]:
                gone = dict.fromkeys(live["spec"]["selector"].keys() - target["spec"]["selector"].keys())
                patch = apply_merge_patch(patch or {}, {"spec": {"selector": {**gone, **target["spec"]["selector"]}}})
                patch["spec"]["selector"].update(gone)
            if patch:
                store.patch(resource, name, PatchKind.MERGE, patch, namespace="default", manager="gitops")
                self.writes.append(f"{kind[1]} {name}")
            self._applied[place] = manifest


def heeding(rules: Sequence[Rule], live: Manifest, manifest: Manifest) -> Manifest:
    """Give *manifest* with what *rules* ignore as it is in *live*."""
    known = [rule for rule in rules if rule.is_about(manifest)]
    ignored = merge_patch(stripped(live, known), live)
    wanted: Manifest = apply_merge_patch(stripped(manifest, known), ignored or {}) if known else manifest
    return wanted


def keep(controller: InProcessController, repository: Repository, seconds: int, look: Callable[[], None]) -> None:
    """Let the tool look once a second for *seconds*, and *look* at what happened in between."""
    for _ in range(seconds):
        repository.sync()
        controller.cluster.advance(INTERVAL)
        look()


def _three_way(applied: Manifest, target: Manifest, live: Manifest) -> Manifest | None:
    """Give the patch by which everything in *target* gets into *live*, and what it lacks of *applied* gets out."""
    gone = _only_in(applied, target)
    wanted = apply_merge_patch(apply_merge_patch(live, gone), target)
    return merge_patch(live, _as_defaulted(wanted, live) if target["kind"] in _NATIVE else wanted)


def _as_defaulted(wanted: Any, live: Any, *, item: bool = False) -> Any:  # noqa: ANN401 - any JSON
    """Give *wanted* with what the API server has added to the items of lists: of its own kinds kubectl merges lists item by item."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        merged = {key: _as_defaulted(value, live.get(key), item=item) for key, value in wanted.items()}
        return {**live, **merged} if item else merged
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [_as_defaulted(one, other, item=True) for one, other in zip(wanted, live, strict=True)]
    return wanted


def _only_in(applied: Manifest, target: Manifest) -> Manifest:
    gone: Manifest = {}
    for key, value in applied.items():
        if key not in target:
            gone[key] = None
        elif isinstance(value, dict) and isinstance(target[key], dict) and (inner := _only_in(value, target[key])):
            gone[key] = inner
    return gone


def _place(manifest: Manifest) -> tuple[tuple[str, str], str]:
    return (manifest["apiVersion"].rpartition("/")[0], manifest["kind"]), manifest["metadata"]["name"]
