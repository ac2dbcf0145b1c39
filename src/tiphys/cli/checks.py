"""What is wrong with the objects of a file, as far as the file itself can tell? (User interfaces 1.8.)"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from tiphys.api.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from tiphys.api.codec import decode
from tiphys.api.errors import SpecError
from tiphys.api.experiment import Experiment
from tiphys.api.meta import Manifest, Wire
from tiphys.api.misfits import misfits
from tiphys.api.rollout import Rollout
from tiphys.api.validation import named_services, reference_problems, spec_problems, spec_warnings, template_labels
from tiphys.api.workloads import Deployment, Service
from tiphys.cli.manifests import Document, FileError
from tiphys.core.farewell import farewell_problems
from tiphys.core.intent import Backend, Role, TrafficIntent
from tiphys.plugins.router import external_router
from tiphys.traffic.router import Ref, Router
from tiphys.traffic.settings import Settings
from tiphys.traffic.table import BUILT_IN, routers_of, unsupported

DEFAULT_NAMESPACE: Final = "default"
"""Where objects without a namespace are taken to be: together."""

KINDS: Final[Mapping[tuple[str, str], type[msgspec.Struct]]] = {
    ("argoproj.io/v1alpha1", "Rollout"): Rollout,
    ("argoproj.io/v1alpha1", "AnalysisTemplate"): AnalysisTemplate,
    ("argoproj.io/v1alpha1", "ClusterAnalysisTemplate"): ClusterAnalysisTemplate,
    ("argoproj.io/v1alpha1", "AnalysisRun"): AnalysisRun,
    ("argoproj.io/v1alpha1", "Experiment"): Experiment,
    ("v1", "Service"): Service,
}
"""The kinds whose fields we know, by apiVersion and kind."""

_OBJECT: Final = re.compile(r"\((\w+ [^\s()/]+/[^\s()]+)\)")
"""How a router names an object that has to be there."""

T = TypeVar("T", bound=Wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong, or (not *fatal*) hardly meant, in one document."""

    document: Document
    error: SpecError
    fatal: bool = True

    def __str__(self) -> str:
        document = self.document
        return f"{document.file}:{document.line(self.error.field)}: document {document.number} ({document.shown}): {self.error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found in some files."""

    unreadable: Sequence[FileError]
    findings: Sequence[Finding]

    @property
    def errors(self) -> list[str]:
        """What has to be mended, document by document."""
        wrong = [(error.file, error.number, str(error)) for error in self.unreadable]
        wrong += [(found.document.file, found.document.number, str(found)) for found in self.findings if found.fatal]
        # Sorting keeps the order of what stands in one document.
        return [text for _, _, text in sorted(wrong, key=lambda each: each[:2])]

    @property
    def warnings(self) -> list[str]:
        """What should be looked at."""
        return [str(finding) for finding in self.findings if not finding.fatal]


def check(documents: Sequence[Document], unreadable: Sequence[FileError]) -> Report:
    """Find all that is wrong in *documents*, which refer to one another within their file."""
    found: dict[tuple[int, str], Finding] = {}
    for document in documents:
        together = [other for other in documents if other.file == document.file]
        for finding in _findings(document, together):
            found.setdefault((id(document), str(finding.error)), finding)
    return Report(unreadable=unreadable, findings=list(found.values()))


def shape_findings(document: Document) -> list[Finding]:
    """Name the fields of *document* that its kind does not have, or that have the wrong type."""
    kind = KINDS.get((document.manifest["apiVersion"], document.kind))
    return [] if kind is None else [Finding(document=document, error=found.error) for found in misfits(document.manifest, kind)]


def _findings(document: Document, together: Sequence[Document]) -> Iterator[Finding]:
    kind = KINDS.get((document.manifest["apiVersion"], document.kind))
    yield from shape_findings(document)
    if kind is not Rollout or any(found.fatal for found in misfits(document.manifest, Rollout)):
        return
    try:
        rollout = _decoded(document, Rollout)
        for error in (*_own_problems(rollout, together), *_reference_problems(rollout, together)):
            yield Finding(document=document, error=error)
        for error in (*spec_warnings(rollout), *_unknown_routers(rollout)):
            yield Finding(document=document, error=error, fatal=False)
        for error in _foreign_routes(rollout, together):
            yield Finding(document=document, error=error, fatal=False)
    except SpecError as error:
        yield Finding(document=document, error=error)


def _own_problems(rollout: Rollout, together: Sequence[Document]) -> Iterator[SpecError]:
    reference = rollout.spec.workload_ref
    deployments = _of_kind(together, "apps/v1", "Deployment", Deployment, _place(rollout))
    workload = deployments.get(reference.name) if reference is not None and reference.kind == "Deployment" else None
    yield from spec_problems(rollout, workload=workload)
    yield from farewell_problems(rollout)
    external = {name: partial(external_router, name) for name in _others(rollout)}
    yield from unsupported(rollout, routers_of(rollout, settings=Settings(external=external)))


def _others(rollout: Rollout) -> Sequence[str]:
    """Name the routers in other processes: only the operator of the controller knows which there are."""
    canary = rollout.spec.strategy.canary
    routing = None if canary is None else canary.traffic_routing
    return () if routing is None else sorted(routing.plugins.keys() - BUILT_IN)


def _unknown_routers(rollout: Rollout) -> Iterator[SpecError]:
    for name in _others(rollout):
        wanted = "a router in another process, which the controller must know by --router-plugin (docs/external-routers.md)"
        yield SpecError(field=f"spec.strategy.canary.trafficRouting.plugins[{name}]", found=name, wanted=wanted)


def _reference_problems(rollout: Rollout, together: Sequence[Document]) -> Iterator[SpecError]:
    """Judge the objects that the Rollout names and that are in the file; what is not there is in the cluster, for all we know."""
    services = _of_kind(together, "v1", "Service", Service, _place(rollout))
    named = named_services(rollout)
    labels = template_labels(bytes(rollout.spec.template))
    for error in reference_problems(rollout, labels, services):
        if named.get(error.field, "") in {"", *services}:
            yield error
    found = _manifests(together)
    for router in routers_of(rollout, settings=Settings()):
        there = {str(ref) for ref in found}
        yield from (error for error in router.problems(found) if there.issuperset(_OBJECT.findall(error.wanted)))


def _foreign_routes(rollout: Rollout, together: Sequence[Document]) -> Iterator[SpecError]:
    """Say which routes of the file carry managed names already: they will be taken away."""
    canary = rollout.spec.strategy.canary
    if canary is None or canary.traffic_routing is None:
        return
    found = _manifests(together)
    managed = tuple(route.name for route in canary.traffic_routing.managed_routes)
    stable = Backend(service=canary.stable_service, weight=100, role=Role.STABLE)
    wish = TrafficIntent(backends=(stable,), managed=managed)
    for router in routers_of(rollout, settings=Settings()):
        if all(ref in found for ref in router.reads()):
            yield from _told(router, wish, found)


def _told(router: Router, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Iterator[SpecError]:
    try:
        rendered = router.render(wish, found)
    except SpecError:
        return
    for warning in rendered.warnings:
        yield SpecError(field="spec.strategy.trafficRouting.managedRoutes", found=", ".join(wish.managed), wanted=warning)


def _decoded(document: Document, kind: type[T]) -> T:
    """Read *document*, in the namespace that objects without one are taken to be in."""
    manifest = {**document.manifest, "metadata": {"namespace": DEFAULT_NAMESPACE, **(document.manifest.get("metadata") or {})}}
    return decode(msgspec.json.encode(manifest), kind)


def _of_kind(documents: Iterable[Document], api_version: str, kind: str, into: type[T], namespace: str) -> dict[str, T]:
    """Find the objects of a kind in *namespace*, by name; one that cannot be read is told as a finding of its own."""
    found: dict[str, T] = {}
    for document in documents:
        if (document.manifest["apiVersion"], document.kind) != (api_version, kind) or _namespace(document) != namespace:
            continue
        try:
            found[_name(document)] = _decoded(document, into)
        except SpecError:
            continue
    return found


def _manifests(documents: Iterable[Document]) -> dict[Ref, Manifest]:
    found: dict[Ref, Any] = {}
    for document in documents:
        group, slash, _ = document.manifest["apiVersion"].partition("/")
        ref = Ref(group=group if slash else "", kind=document.kind, namespace=_namespace(document), name=_name(document))
        found[ref] = document.manifest
    return found


def _place(rollout: Rollout) -> str:
    return rollout.metadata.namespace


def _metadata(document: Document) -> Mapping[str, Any]:
    metadata = document.manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _namespace(document: Document) -> str:
    return str(_metadata(document).get("namespace") or DEFAULT_NAMESPACE)


def _name(document: Document) -> str:
    return str(_metadata(document).get("name") or "")
