"""How do the lists and maps of a kind merge: as one value, by a key, or item by item?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """
    What is known of one field beyond its value.

    A list is atomic unless *keys* (a map of items) or *as_set* says otherwise; a map is granular unless *atomic*.
    *patch_key* is the key by which a strategic merge patch finds list items. *always* marks structs that exist even in
    an empty object of the kind, so that nobody owns their existence.
    """

    fields: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, object] = field(default_factory=dict)
    as_set: bool = False
    atomic: bool = False
    always: bool = False
    patch_key: str = ""
    patch_merges: bool = False
    retains_keys: bool = False

    def child(self, name: str) -> Shape:
        """Give the shape of one field, or of a map's value."""
        return self.fields.get(name) or self.items or ANY

    @property
    def item(self) -> Shape:
        """The shape of a list's items."""
        return self.items or ANY


ANY = Shape()
