"""CustomResourceDefinitions of other products' kinds, small and our own: enough for objects of these kinds to be stored."""

from tiphys.devcluster.foreign.definitions import foreign_definitions

__all__ = ["foreign_definitions"]
