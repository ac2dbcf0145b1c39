"""Which objects do routers get to see?"""

from collections.abc import Mapping, Sequence

from tiphys.api.meta import Manifest
from tiphys.controller.cluster import Caches
from tiphys.controller.named import kinds_of, refs_of, searches_of
from tiphys.traffic.router import Making, Ref, Router


def found_by(routers: Sequence[Router], uid: str, caches: Caches) -> Mapping[Ref, Manifest]:
    """
    Give the objects that *routers* of the Rollout *uid* name, look for or make, as far as they exist.

    What is made beside objects that were looked for is known by name only when these are found.
    """
    refs, searches = refs_of(routers), searches_of(routers)
    found = {
        **_existing(refs, caches),
        **caches.made_for(uid, kinds_of(refs, searches)),
        **caches.mentioning(searches),
    }
    return {**found, **_existing(made_beside(routers, found), caches)}


def made_beside(routers: Sequence[Router], found: Mapping[Ref, Manifest]) -> Sequence[Ref]:
    """Name what *routers* make beside what they *found*."""
    return [ref for router in routers if isinstance(router, Making) for ref in router.makes(found)]


def _existing(refs: Sequence[Ref], caches: Caches) -> dict[Ref, Manifest]:
    return {ref: manifest for ref in refs if (manifest := caches.manifest(ref)) is not None}
