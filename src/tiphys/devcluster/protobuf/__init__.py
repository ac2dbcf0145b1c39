"""Bodies in protobuf, which typed Go clients send: kubectl's own commands, Helm."""

from tiphys.devcluster.protobuf.manifests import Envelope, manifest, opened
from tiphys.devcluster.protobuf.reading import WireError

__all__ = ["Envelope", "WireError", "manifest", "opened"]
