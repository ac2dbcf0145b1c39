"""Which route objects did we make for a Rollout, and how do they say so?"""

from dataclasses import dataclass

from tiphys.api.codec import plain
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest, OwnerReference
from tiphys.api.rollout import Rollout
from tiphys.api.words import GROUP_VERSION
from tiphys.traffic.manifests import entries, mapping
from tiphys.traffic.router import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A Rollout as the controller of objects that a router makes: they go with it, and nobody else's are touched."""

    name: str
    uid: str

    def metadata(self, ref: Ref) -> Manifest:
        """Give the metadata of a new object at *ref*."""
        reference = OwnerReference(
            api_version=GROUP_VERSION, kind="Rollout", name=self.name, uid=self.uid, controller=True, block_owner_deletion=True
        )
        return {"name": ref.name, "namespace": ref.namespace, "ownerReferences": [plain(reference)]}

    def controls(self, manifest: Manifest) -> bool:
        """
        Tell whether *manifest* is an object of this Rollout.

        Raises:
            SpecError: its owners cannot be read.

        """
        metadata = mapping(manifest.get("metadata"), "metadata")
        owners = entries(metadata.get("ownerReferences"), "metadata.ownerReferences")
        return any(owner.get("controller") is True and owner.get("uid") == self.uid for owner in owners)

    def claim(self, manifest: Manifest | None, ref: Ref, *, field: str, found: str) -> None:
        """
        Make sure that what stands at *ref* may be written.

        Raises:
            SpecError: it is somebody else's; *field* and *found* are what in the Rollout leads to that name.

        """
        if manifest is not None and not self.controls(manifest):
            wanted = f'{ref} exists and is not controlled by the Rollout "{self.name}": remove it, or rename one of the two'
            raise SpecError(field=field, found=found, wanted=wanted)


def owner_of(rollout: Rollout) -> Owner:
    """Give *rollout* as an owner."""
    return Owner(name=rollout.metadata.name, uid=rollout.metadata.uid)
