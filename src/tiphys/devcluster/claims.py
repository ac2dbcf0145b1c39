"""Which objects does a controller own, by its selector and by their owner references?"""

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.devcluster.history import Stored
from tiphys.devcluster.podindex import PodIndex, has_ended, is_leaving, labels_of
from tiphys.devcluster.resources import ResourceType
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.selectors import from_label_selector
from tiphys.devcluster.storage import Store

MANAGER = "kube-controller-manager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What owners of the kind *owner* own among objects of the kind *owned*, which *index* knows."""

    store: Store
    owner: ResourceType
    owned: ResourceType
    index: PodIndex

    def of(self, owner: Stored) -> Sequence[Stored]:
        """Own what the selector means and nobody controls, let go of what it no longer means, and give the rest."""
        leaving = is_leaving(owner.manifest)
        selects = from_label_selector(owner.manifest["spec"].get("selector"))
        claimed = []
        for each in self.index.owned_by(owner.manifest["metadata"]["uid"]):
            if selects(labels_of(each.manifest)):
                claimed.append(each)
            elif not leaving:
                self._own(each, None)
        free = self.index.uncontrolled(owner.namespace) if not leaving else ()
        wanted = [
            each for each in free if selects(labels_of(each.manifest)) and not is_leaving(each.manifest) and not has_ended(each.manifest)
        ]
        return [*claimed, *(self._own(each, owner) for each in wanted)]

    def reference(self, owner: Stored) -> Manifest:
        """Give the owner reference by which an object belongs to *owner*."""
        named = {
            "apiVersion": self.owner.api_version,
            "kind": self.owner.kind,
            "name": owner.name,
            "uid": owner.manifest["metadata"]["uid"],
        }
        return named | {"controller": True, "blockOwnerDeletion": True}

    def _own(self, each: Stored, owner: Stored | None) -> Stored:
        manifest = each.copy()
        references = [known for known in manifest["metadata"].get("ownerReferences") or [] if not known.get("controller")]
        if owner is not None:
            references.append(self.reference(owner))
        manifest["metadata"]["ownerReferences"] = references
        self.store.update(self.owned, manifest, manager=MANAGER)
        return self.store.fetch(self.owned, each.name, namespace=each.namespace)
