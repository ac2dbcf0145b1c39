"""
What do Ingresses ask of the AWS Load Balancer Controller? (pure)

Requests enter at Envoy's URL. The Host header stands for the load balancer's address too: the `host` of an Ingress's rule; for rules
without a host any name that is no Service's, such as `alb`, or `NAME.NAMESPACE.alb` for the load balancer of just this Ingress.

Within a rule the controller puts exact paths first, then prefixes, the longest first, then paths that are implementation-specific in
their order; the first whose conditions hold gets the request. A name that no annotation or Service stands for is answered with 503.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.devcluster.proxies.alb_annotations import ActionError, Annotations
from tiphys.devcluster.proxies.alb_match import Conditions, NotEmulatedError, path_patterns
from tiphys.devcluster.proxies.builder import (
    Backends,
    Found,
    Json,
    Manifest,
    Said,
    by_domain,
    by_name,
    dns_host,
    namespace_of,
    title,
    weighted,
)

_INGRESSES = ("networking.k8s.io", "ingresses")
KINDS = frozenset({_INGRESSES})
_CLASS = "alb"
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_BY_TYPE = {"Exact": 0, "Prefix": 1, "ImplementationSpecific": 2}
USE_ANNOTATION = "use-annotation"


def alb_says(found: Found, backends: Backends) -> Said:
    """Translate Ingresses of the class `alb`, or of none; a mistake leaves an Ingress out as a whole."""
    said = _Translation(backends=backends)
    rules: list[tuple[Sequence[str], Json]] = []
    own: dict[str, list[Json]] = {}
    for ingress in sorted(found.get(_INGRESSES, ()), key=by_name):
        annotations = ingress["metadata"].get("annotations") or {}
        spec = ingress.get("spec") or {}
        if (spec.get("ingressClassName") or annotations.get(_CLASS_ANNOTATION) or _CLASS) != _CLASS:
            continue
        try:
            made = list(said.rules(ingress))
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            said.problems.append(f"{title(ingress)} is left out: {error.args[0] if error.args else error}")
            continue
        rules += made
        own[f"{ingress['metadata']['name']}.{namespace_of(ingress)}.alb"] = [route for hosts, route in made if not hosts]
    return Said(domains=by_domain(rules) | own, problems=said.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Translation:
    backends: Backends
    problems: list[str] = field(default_factory=list)

    def rules(self, ingress: Manifest) -> Iterator[tuple[Sequence[str], Json]]:
        spec = ingress.get("spec") or {}
        annotations = Annotations(ingress["metadata"].get("annotations") or {})
        for rule in spec.get("rules") or []:
            for path in _in_order((rule.get("http") or {}).get("paths") or []):
                conditions = Conditions(host=rule.get("host"), paths=path_patterns(path))
                service = (path.get("backend") or {}).get("service") or {}
                try:
                    for condition in annotations.conditions(str(service.get("name"))):
                        conditions.add(condition)
                    hosts, match = conditions.match()
                    yield hosts, {"match": match, **self._action(ingress, annotations, service)}
                except NotEmulatedError as error:
                    self.problems.append(f"{title(ingress)}: the rule of {service.get('name')} is left out: {error}")
        if default := (spec.get("defaultBackend") or {}).get("service"):
            yield (), {"match": {"prefix": "/"}, **self._action(ingress, annotations, default)}

    def _action(self, ingress: Manifest, annotations: Annotations, service: Mapping[str, Any]) -> Json:
        name, port = str(service.get("name")), service.get("port") or {}
        namespace = namespace_of(ingress)
        try:
            if port.get("name") != USE_ANNOTATION:
                cluster = self.backends.named(dns_host(name, namespace), port.get("number") or port.get("name"))
                return {"route": {"cluster": cluster, "timeout": "60s"}}
            action = annotations.action(name)
            if fixed := action.fixed:
                return {"direct_response": fixed}
            if action.sticky:
                self.problems.append(f"{title(ingress)}: actions.{name}: stickiness is not emulated")
            shares = [(self.backends.named(dns_host(group.service, namespace), group.port), group.weight) for group in action.groups]
            return {"route": {**weighted(shares), "timeout": "60s"}}
        except (LookupError, ActionError) as error:
            self.problems.append(f"{title(ingress)}: {error.args[0]}; requests for {name} are answered with 503")
            return {"direct_response": {"status": 503, "body": {"inline_string": "backend does not exist"}}}


def _in_order(paths: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort as the controller does; where nothing else tells, the order of the Ingress counts."""
    for path in paths:
        if (path.get("pathType") or "ImplementationSpecific") not in _BY_TYPE:
            raise ValueError(f"pathType: found {path['pathType']!r}, wanted one of {', '.join(_BY_TYPE)}")

    def place(path: Mapping[str, Any]) -> tuple[int, int]:
        kind = path.get("pathType") or "ImplementationSpecific"
        return _BY_TYPE[kind], -len(path.get("path") or "") if kind == "Prefix" else 0

    return sorted(paths, key=place)
