"""What does one request consist of?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.kube.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, before credentials; *patient* ones wait out a 429, *identity* asks for an answer that is not packed."""

    verb: str
    method: str
    path: str
    resource: Resource | None = None
    namespace: str | None = None
    name: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    accept: str = "application/json"
    identity: bool = False
    patient: bool = True
    seconds: float | None = None


def selection(label_selector: str, field_selector: str) -> dict[str, str]:
    """Give the query of the selectors that are not empty."""
    return {key: value for key, value in (("labelSelector", label_selector), ("fieldSelector", field_selector)) if value}


def call_on(  # noqa: PLR0913 - the parts of a request
    verb: str,
    method: str,
    resource: Resource,
    namespace: str | None,
    name: str | None = None,
    subresource: str | None = None,
    *,
    query: Mapping[str, str] | None = None,
    body: bytes | None = None,
    content_type: str = "application/json",
    identity: bool = False,
    patient: bool = True,
) -> Call:
    """Give the request for a collection, an object or a subresource."""
    return Call(
        verb=verb,
        method=method,
        path=resource.path(namespace, name, subresource),
        resource=resource,
        namespace=namespace,
        name=name,
        query=query or {},
        body=body,
        content_type=content_type,
        identity=identity,
        patient=patient,
    )
