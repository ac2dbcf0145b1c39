"""What does admission of the small built-in kinds fill in and refuse?"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from tiphys.devcluster.decoding import decode
from tiphys.devcluster.errors import Cause, StatusError
from tiphys.devcluster.event_forms import CORE, NEW, in_version
from tiphys.devcluster.metadata import key_problems, quoted
from tiphys.devcluster.pod_shapes import CONDITIONS, METADATA, REFERENCE, SELECTOR, TEMPLATE
from tiphys.devcluster.rules import Admission, Manifest, Rules
from tiphys.devcluster.rules_pods import default_template, show_template, template_causes
from tiphys.devcluster.shapes import ANY, OBJECT, TEXT_LIST, TEXT_MAP, Shape, always, atomic, keyed, listed, struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REQUIRED, _FORBIDDEN = "FieldValueRequired", "FieldValueForbidden"
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex "
    "used for validation is '[-._a-zA-Z0-9]+')"
)


class PlainRules(Rules):
    """Objects that are kept as they come."""

    counts_generations = False

    def __init__(self, shape: Shape | None = None, *, name_format: str = "subdomain") -> None:
        self.shape = shape or Shape(fields={"metadata": METADATA})
        self.name_format = name_format

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Drop what the kind does not have."""
        decode(manifest, self.shape, write)


class SpecRules(PlainRules):
    """Objects with a spec whose changes count, and perhaps a status of its own."""

    counts_generations = True

    def __init__(self, shape: Shape | None = None, *, status_apart: bool = False) -> None:
        super().__init__(shape)
        self.status_apart = status_apart

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Begin with an empty status."""
        del write
        if self.status_apart:
            manifest.setdefault("status", {})


class NamespaceRules(Rules):
    """The admission of Namespaces, which end only when their content is gone (subresource finalize)."""

    status_apart = True
    counts_generations = False
    name_format = "label"
    answers_deleted = True
    selectable = frozenset(("status.phase",))
    shape = struct(
        "Namespace",
        "",
        metadata=METADATA,
        spec=always(struct("NamespaceSpec", "", finalizers=TEXT_LIST)),
        status=always(struct("NamespaceStatus", "phase:s", conditions=CONDITIONS)),
    )

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Label the namespace with its name, as every cluster does."""
        decode(manifest, self.shape, write)
        manifest.setdefault("spec", {})
        if write.old is None or not write.subresource:
            labels = manifest["metadata"].setdefault("labels", {})
            labels["kubernetes.io/metadata.name"] = manifest["metadata"]["name"]

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Hold a new namespace until somebody finalizes it."""
        if write.old is None:
            manifest["spec"] = {"finalizers": ["kubernetes"]}
            manifest["status"] = {"phase": "Active"}
        elif write.subresource == "finalize":
            finalizers = manifest["spec"].get("finalizers")
            manifest["spec"] = {"finalizers": finalizers} if finalizers else {}
        else:
            manifest["spec"] = write.old.get("spec") or {}

    def marked(self, manifest: Manifest) -> Manifest:
        """Say that the namespace is on its way out."""
        return {**manifest, "status": {**(manifest.get("status") or {}), "phase": "Terminating"}}

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give what namespaces are selected by."""
        return {"status.phase": (manifest.get("status") or {}).get("phase", "")}


def _immutable(manifest: Manifest, write: Admission, parts: tuple[str, ...]) -> list[Cause]:
    old = write.old
    if old is None or not old.get("immutable"):
        return []
    causes = []
    if not manifest.get("immutable"):
        causes.append(Cause("immutable", "Forbidden: field is immutable when `immutable` is set", _FORBIDDEN))
    changed = [part for part in parts if manifest.get(part) != old.get(part)]
    return causes + [Cause(part, "Forbidden: field is immutable when `immutable` is set", _FORBIDDEN) for part in changed]


def _key_causes(manifest: Manifest, parts: tuple[str, ...]) -> list[Cause]:
    causes = []
    for part in parts:
        wrong = [key for key in manifest.get(part) or () if not _KEY.fullmatch(key)]
        causes += [Cause(f"{part}[{key}]", f"Invalid value: {quoted(key)}: {_KEY_WORDS}") for key in wrong]
    return causes


class ConfigMapRules(PlainRules):
    """The admission of ConfigMaps."""

    def __init__(self) -> None:
        super().__init__(struct("ConfigMap", "immutable:b", metadata=METADATA, data=TEXT_MAP, binaryData=TEXT_MAP))

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check keys, and that an immutable one stays."""
        parts = ("data", "binaryData")
        return [*_key_causes(manifest, parts), *_immutable(manifest, write, parts)]


class SecretRules(PlainRules):
    """The admission of Secrets."""

    selectable = frozenset(("type",))

    def __init__(self) -> None:
        super().__init__(struct("Secret", "immutable:b type:s", metadata=METADATA, data=TEXT_MAP, stringData=TEXT_MAP))

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Turn stringData into data."""
        super().admit(manifest, write)
        for key, value in (manifest.pop("stringData", None) or {}).items():
            manifest.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
        manifest.setdefault("type", "Opaque")
        for value in (manifest.get("data") or {}).values():
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError) as error:
                why = f"illegal base64 data at input byte {_first_bad(value)}"
                raise StatusError(400, f'Secret in version "v1" cannot be handled as a Secret: {why}') from error

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check keys, and that the type stays."""
        causes = [*_key_causes(manifest, ("data",)), *_immutable(manifest, write, ("data",))]
        if write.old is not None and write.old.get("type") != manifest["type"]:
            causes.append(Cause("type", f"Invalid value: {quoted(manifest['type'])}: field is immutable"))
        return causes

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give what Secrets are selected by."""
        return {"type": manifest.get("type", "")}


def _first_bad(text: str) -> int:
    found = re.match(r"[A-Za-z0-9+/]*", text)
    return found.end() if found else 0


_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


class EventRules(PlainRules):
    """The admission of core/v1 Events."""

    def __init__(self) -> None:
        about = {"involvedObject": always(REFERENCE), "related": REFERENCE}
        super().__init__(Shape(fields={"metadata": METADATA, "source": always(OBJECT), **about}))

    selectable = frozenset(f"involvedObject.{key}" for key in _ABOUT) | {"reason", "reportingComponent", "source", "type"}

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Show the empty fields that events always show."""
        super().admit(manifest, write)
        manifest.setdefault("involvedObject", {})

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Show the empty fields that events always show."""
        del write
        manifest.setdefault("source", {})
        for key in ("firstTimestamp", "lastTimestamp", "eventTime"):
            manifest.setdefault(key, None)
        for key in ("reportingComponent", "reportingInstance"):
            manifest.setdefault(key, "")

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check that the event lies where its object does; events of cluster-wide objects lie in default."""
        del write
        said = manifest["involvedObject"].get("namespace", "")
        space = manifest["metadata"]["namespace"]
        if said == space or (not said and space in ("default", "kube-system")):
            return ()
        return [Cause("involvedObject.namespace", f"Invalid value: {quoted(said)}: does not match event.namespace")]

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give what events are selected by."""
        manifest = in_version(manifest, CORE)
        about = manifest.get("involvedObject") or {}
        found = {f"involvedObject.{key}": about.get(key, "") for key in _ABOUT}
        source = manifest.get("source") or {}
        return found | {
            "reason": manifest.get("reason", ""),
            "type": manifest.get("type", ""),
            "source": source.get("component", ""),
            "reportingComponent": manifest.get("reportingComponent", ""),
        }


class NewEventRules(PlainRules):
    """The admission of events.k8s.io/v1 Events."""

    def __init__(self) -> None:
        super().__init__(Shape(fields={"metadata": METADATA, "regarding": always(REFERENCE), "related": REFERENCE}))

    selectable = frozenset(
        ("reason", "type", "reportingController", "regarding.kind", "regarding.name", "regarding.namespace", "regarding.uid")
    )

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Show the empty fields that events always show."""
        del write
        manifest.setdefault("deprecatedSource", {})
        for key in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
            manifest.setdefault(key, None)

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check what every event has to say."""
        if write.old is not None:
            return ()
        wanted = ("eventTime", "reportingController", "reportingInstance", "action", "reason")
        causes = [Cause(key, "Required value", _REQUIRED) for key in wanted if not manifest.get(key)]
        name = manifest.get("reportingController") or ""
        causes += [Cause("reportingController", f"Invalid value: {quoted(name)}: {words}") for words in key_problems(name)]
        if manifest.get("type") not in ("Normal", "Warning"):
            causes.append(Cause("type", f'Invalid value: "": has invalid value: {manifest.get("type") or ""}'))
        return causes

    def fields(self, manifest: Manifest) -> Mapping[str, str]:
        """Give what events are selected by."""
        manifest = in_version(manifest, NEW)
        about = manifest.get("regarding") or {}
        found = {f"regarding.{key}": about.get(key, "") for key in ("kind", "name", "namespace", "uid")}
        return found | {key: manifest.get(key, "") for key in ("reason", "type", "reportingController")}


_MICRO_TIME = "2006-01-02T15:04:05.000000Z07:00"  # how Go writes this form
_PARTS = ((r"\d{4}", "2006"), (r"-\d\d-\d\dT\d\d:\d\d:\d\d", "-01-02T15:04:05"), (r"\.\d{6}", ".000000"), (r"(Z|[+-]\d\d:\d\d)$", "Z07:00"))


def _unreadable_time(text: str) -> str:
    """Say where a time with microseconds cannot be read; "" if it can."""
    rest = text
    for pattern, form in _PARTS:
        found = re.match(pattern, rest)
        if found is None:
            return f'parsing time {quoted(text)} as "{_MICRO_TIME}": cannot parse {quoted(rest)} as "{form}"'
        rest = rest[found.end() :]
    return ""


class LeaseRules(PlainRules):
    """The admission of Leases, which are only ever replaced knowingly."""

    allows_unconditional_update = False

    def __init__(self) -> None:
        names = "holderIdentity:s leaseDurationSeconds:i acquireTime:s renewTime:s leaseTransitions:i strategy:s preferredHolder:s"
        super().__init__(struct("Lease", "", metadata=METADATA, spec=always(struct("LeaseSpec", names))))

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Read the times, which have to be such."""
        super().admit(manifest, write)
        for key in ("acquireTime", "renewTime"):
            said = (manifest.get("spec") or {}).get(key)
            why = _unreadable_time(said) if said is not None else ""
            if why:
                raise StatusError(400, f'Lease in version "v1" cannot be handled as a Lease: {why}')

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check that a lease ends some time."""
        del write
        seconds = (manifest.get("spec") or {}).get("leaseDurationSeconds")
        if seconds is not None and seconds <= 0:
            return [Cause("spec.leaseDurationSeconds", f"Invalid value: {seconds}: must be greater than 0")]
        return ()


class PodTemplateRules(PlainRules):
    """The admission of PodTemplates."""

    def __init__(self) -> None:
        super().__init__(struct("PodTemplate", "", metadata=METADATA, template=always(TEMPLATE)))

    def admit(self, manifest: Manifest, write: Admission) -> None:
        """Fill in the template."""
        super().admit(manifest, write)
        default_template(manifest.setdefault("template", {}), write)

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Show the template's metadata as the real server does."""
        del write
        show_template(manifest["template"])

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check the template."""
        del write
        return template_causes(manifest["template"], "template", only_always=False)


class IngressRules(SpecRules):
    """The admission of Ingresses."""

    def __init__(self) -> None:
        names = "ingressClassName:s defaultBackend:o tls"
        http = struct("HTTPIngressRuleValue", "", paths=listed(struct("HTTPIngressPath", "path:s pathType:s backend:o")))
        rules = listed(struct("IngressRule", "host:s", http=http))
        status = always(struct("IngressStatus", "", loadBalancer=always(ANY)))
        super().__init__(
            struct("Ingress", "", metadata=METADATA, spec=always(struct("IngressSpec", names, rules=rules)), status=status),
            status_apart=True,
        )

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Begin without an address."""
        del write
        manifest.setdefault("status", {}).setdefault("loadBalancer", {})

    def validate(self, manifest: Manifest, write: Admission) -> Sequence[Cause]:
        """Check that there is a rule or a backend, and that every path says how it is matched."""
        del write
        spec: dict[str, Any] = manifest.get("spec") or {}
        if not spec.get("rules") and not spec.get("defaultBackend"):
            words = "Invalid value: []networking.IngressRule(nil): either `defaultBackend` or `rules` must be specified"
            return [Cause("spec", words)]
        causes = []
        for place, rule in enumerate(spec.get("rules") or ()):
            for number, path in enumerate((rule.get("http") or {}).get("paths") or ()):
                if not path.get("pathType"):
                    where = f"spec.rules[{place}].http.paths[{number}].pathType"
                    causes.append(Cause(where, "Required value: pathType must be specified", _REQUIRED))
        return causes


def budget_rules() -> SpecRules:
    """Give the admission of PodDisruptionBudgets."""
    status = always(struct("PodDisruptionBudgetStatus", _BUDGET_STATUS, conditions=CONDITIONS))
    names = "minAvailable maxUnavailable unhealthyPodEvictionPolicy:s"
    spec = always(struct("PodDisruptionBudgetSpec", names, selector=atomic(SELECTOR)))
    return _BudgetRules(struct("PodDisruptionBudget", "", metadata=METADATA, spec=spec, status=status), status_apart=True)


class _BudgetRules(SpecRules):
    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Begin with nothing counted."""
        del write
        zeros = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
        manifest["status"] = zeros | (manifest.get("status") or {})


_BUDGET_STATUS = "observedGeneration:l disruptedPods disruptionsAllowed:i currentHealthy:i desiredHealthy:i expectedPods:i"


def account_rules() -> PlainRules:
    """Give the admission of ServiceAccounts."""
    return PlainRules(Shape(fields={"metadata": METADATA, "secrets": keyed(ANY, "name")}))


def binding_rules() -> PlainRules:
    """Give the admission of RoleBindings and ClusterRoleBindings."""
    return PlainRules(Shape(fields={"metadata": METADATA, "roleRef": atomic(ANY)}), name_format="path")


def node_rules() -> PlainRules:
    """Give the admission of Nodes."""
    shape = Shape(
        fields={
            "metadata": METADATA,
            "spec": always(ANY),
            "status": always(Shape(fields={"conditions": CONDITIONS, "addresses": keyed(ANY, "type")})),
        }
    )
    return _NodeRules(shape)


_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
_NODE_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion",
    "operatingSystem", "architecture",
)  # fmt: skip


class _NodeRules(PlainRules):
    status_apart = True

    def complete(self, manifest: Manifest, write: Admission) -> None:
        """Show the empty fields that a node always shows; one that is not ready is tainted, as a real cluster's loops would do."""
        spec, status = manifest.setdefault("spec", {}), manifest.setdefault("status", {})
        if write.old is not None and not write.subresource_is_status:
            return
        status.setdefault("daemonEndpoints", {"kubeletEndpoint": {"Port": 0}})
        status["nodeInfo"] = dict.fromkeys(_NODE_INFO, "") | (status.get("nodeInfo") or {})
        ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ())
        taints = [each for each in spec.get("taints") or () if each.get("key") != _NOT_READY["key"]]
        manifest["spec"] = {**spec, "taints": taints if ready else [*taints, dict(_NOT_READY)]}
        if not manifest["spec"]["taints"]:
            del manifest["spec"]["taints"]
