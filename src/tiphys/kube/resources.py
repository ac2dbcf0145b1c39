"""Which kinds of objects are meant, and under which path does an API server keep them?"""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """
    One kind of object in one version, as API servers address it.

    The core group is the empty string.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` that objects of this kind carry."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """
        Give the path of the collection, or of the object *name*, or of its *subresource*.

        Without *namespace* the collection spans all namespaces.

        Raises:
            ValueError: the parts do not make a path: an object of a namespaced kind needs a namespace, no part is `.`, `..` or empty.

        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        elif self.namespaced and name is not None:
            raise ValueError(f"{self.kind} {name}: found no namespace, wanted one")
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource is not None:
            parts += subresource.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"{self.plural}: found an empty or dotted path part in {parts!r}, wanted names")
        return "/" + "/".join(quote(part, safe=":") for part in parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
