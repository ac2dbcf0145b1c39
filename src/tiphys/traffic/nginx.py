"""How does ingress-nginx say this traffic wish? (Traffic-routing reference 4.3.)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import HEADER_ROUTES, MIRROR_ROUTES, WRITTEN_ANNOTATIONS
from tiphys.api.rollout import CanaryStrategy, NginxRouting, Rollout
from tiphys.core.intent import Backend, Feature, HeaderRoute, MirrorRoute, Role, Routed, TrafficIntent
from tiphys.traffic import nginx_says
from tiphys.traffic.about import about
from tiphys.traffic.manifests import annotations, entries, mapping, text, with_annotation
from tiphys.traffic.owned import Owner, owner_of
from tiphys.traffic.route_steps import read_back, standing_routes, written_down
from tiphys.traffic.router import Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.together import combine

GROUP: Final = "networking.k8s.io"
SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.MIRROR,
        Feature.MAX_WEIGHT,
    }
)
PREFIX: Final = "nginx.ingress.kubernetes.io"

_FIELD: Final = "spec.strategy.canary.trafficRouting.nginx"
_LONGEST: Final = 246
"""Characters of `<rollout>-<stableIngress>` that a canary Ingress's name keeps before `-canary`."""
_COPIED: Final = ("ingressClassName", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A stable Ingress of the user's, named in *field* of the Rollout, and the canary Ingress that we make beside it."""

    stable: Ref
    canary: Ref
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxRouter:
    """
    A canary Ingress beside each stable one.

    *canary* and *stable* are the Services; a wish brings its own. *extra* holds the annotations that the user wants on canary
    Ingresses, *total* says that the Rollout names a maximum, so that they do too. *mirror_field* is the first step that sets a mirror
    route, empty where none does. *malformed* is what is wrong with the Rollout itself: its `nginx` block, and steps that ask for what
    the annotations cannot say.
    """

    owner: Owner
    namespace: str
    canary: str
    stable: str
    targets: tuple[Target, ...]
    prefix: str = PREFIX
    extra: Mapping[str, str]
    maximum: int = 100
    total: bool = False
    mirror_field: str = ""
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "nginx"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what ingress-nginx can do; what it can do only in part is among the problems, step by step."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the stable Ingresses and ours."""
        return [ref for target in self.targets for ref in (target.stable, target.canary)]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the Ingresses."""
        problems = list(self.malformed)
        for target in self.targets:
            try:
                self._written(target, found, self._wish(0))
                if self.mirror_field:
                    with about(self.mirror_field, target.stable.name, target.stable):
                        self._check_mirrored(found[target.stable])
            except SpecError as error:
                problems.append(error)
        return problems

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the Ingresses say now; a canary Ingress that is not as we would write it agrees to nothing."""
        return combine([*(self._said(target, found) for target in self.targets), *self._left_over(found).values()])

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the Ingresses that say *wish*; without a canary in it, a canary Ingress of ours goes.

        Those beside stable Ingresses that an earlier spec named go too.

        Raises:
            SpecError: the `nginx` block is malformed, or no object can be rendered.

        """
        if self.malformed:
            raise self.malformed[0]
        apply: dict[Ref, Manifest] = {}
        errors: list[SpecError] = []
        for target in self.targets:
            try:
                apply |= self._written(target, found, wish)
            except SpecError as error:
                errors.append(error)
        if errors and not apply:
            raise errors[0]
        gone = wish.backend(Role.CANARY) is None
        absent = [target.canary for target in self.targets if gone and target.stable in apply and target.canary in found]
        return Rendered(apply=apply, absent=frozenset((*absent, *self._left_over(found))), errors=tuple(errors))

    def _wish(self, canary: int, headers: tuple[HeaderRoute, ...] = (), mirrors: tuple[MirrorRoute, ...] = ()) -> TrafficIntent:
        backends = (
            Backend(role=Role.STABLE, service=self.stable, weight=self.maximum - canary),
            Backend(role=Role.CANARY, service=self.canary, weight=canary),
        )
        return TrafficIntent(backends=backends, header_routes=headers, mirrors=mirrors, maximum=self.maximum)

    def _said(self, target: Target, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read one pair of Ingresses; what we would write for the answer must be what stands there, or the answer is not uniform."""
        try:
            stable, canary = found[target.stable], found.get(target.canary)
            mirrors = read_back(annotations(stable).get(MIRROR_ROUTES), MirrorRoute) or ()
            kept = {} if canary is None else annotations(canary)
            headers = self._headers(kept)
            weight = self._weight(kept)
            self._written(target, found, self._wish(weight))
        except (KeyError, SpecError):
            return None
        try:
            again = self._written(target, found, self._wish(weight, headers, mirrors))
        except SpecError:  # routes that were sayable once: they are seen, and have to go
            again = {}
        same = canary is not None and again == {target.stable: stable, target.canary: canary}
        return Routed(canary=weight, stable=self.maximum - weight, header_routes=headers, mirrors=mirrors, uniform=same)

    def _left_over(self, found: Mapping[Ref, Manifest]) -> dict[Ref, Routed]:
        """Read the canary Ingresses of ours that stand beside stable Ingresses which the Rollout names no longer."""
        left: dict[Ref, Routed] = {}
        for ref in found.keys() - set(self.reads()):
            if (ref.group, ref.kind) != (GROUP, "Ingress") or not ref.name.endswith("-canary"):
                continue
            try:
                kept, ours = annotations(found[ref]), self.owner.controls(found[ref])
            except SpecError:
                continue
            if ours and any(key.endswith("/canary") and value == "true" for key, value in kept.items()):
                weight = self._weight(kept)
                left[ref] = Routed(canary=weight, stable=self.maximum - weight, header_routes=self._headers(kept), uniform=False)
        return left

    def _weight(self, kept: Mapping[str, Any]) -> int:
        """Give the canary's weight in parts of the maximum, rounded up; what ingress-nginx cannot read counts for it as 0 of 100."""
        if kept.get(f"{self.prefix}/canary") != "true":
            return 0
        weight = _number(kept.get(f"{self.prefix}/canary-weight"), default=0)
        total = _number(kept.get(f"{self.prefix}/canary-weight-total"), default=100) or 100
        return min(self.maximum, -(-weight * self.maximum // total))

    def _headers(self, kept: Mapping[str, Any]) -> tuple[HeaderRoute, ...]:
        headers = read_back(kept.get(HEADER_ROUTES), HeaderRoute) or ()
        try:
            nginx_says.by_header(headers)
        except SpecError:
            return ()
        return headers

    def _written(self, target: Target, found: Mapping[Ref, Manifest], wish: TrafficIntent) -> dict[Ref, Manifest]:
        """Give the stable Ingress, and with a canary in *wish* the canary Ingress, as they should be."""
        stable, canary = found.get(target.stable), found.get(target.canary)
        name = target.stable.name
        if stable is None:
            raise SpecError(field=target.field, found=name, wanted=f"must name an existing Ingress ({target.stable})")
        with about(target.field, name, target.canary):
            self.owner.claim(canary, target.canary, field="metadata.ownerReferences", found="somebody else's")
        with about(target.field, name, target.stable):
            mirrored = self._mirrored(stable, wish)
            annotated = self._annotations(annotations(stable), wish)
            spec = self._canary_spec(stable, wish)
        if wish.backend(Role.CANARY) is None:
            return {target.stable: mirrored}
        with about(target.field, name, target.canary):
            return {target.stable: mirrored, target.canary: self._canary_ingress(target.canary, canary, annotated, spec)}

    def _canary_ingress(self, ref: Ref, present: Manifest | None, wanted: Mapping[str, str], spec: Manifest) -> Manifest:
        """Put *wanted* annotations and *spec* into the canary Ingress; what others wrote there stays."""
        keys = ",".join(sorted(wanted))
        if present is None:
            metadata = {**self.owner.metadata(ref), "annotations": {**wanted, WRITTEN_ANNOTATIONS: keys}}
            return {"apiVersion": f"{GROUP}/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}
        kept = annotations(present)
        ours = {*text(kept.get(WRITTEN_ANNOTATIONS), "metadata.annotations").split(","), HEADER_ROUTES, nginx_says.CLASS}
        ours |= {f"{self.prefix}/{key}" for key in _OURS}
        others = {key: value for key, value in kept.items() if key not in ours}
        fields = {key: value for key, value in mapping(present.get("spec"), "spec").items() if key not in {"rules", *_COPIED}}
        metadata = {**present["metadata"], "annotations": {**others, **wanted, WRITTEN_ANNOTATIONS: keys}}
        return {**present, "metadata": metadata, "spec": {**fields, **spec}}

    def _annotations(self, kept: Mapping[str, Any], wish: TrafficIntent) -> dict[str, str]:
        """Give the annotations of a canary Ingress beside a stable one that has *kept*."""
        static = f"{self.prefix}/{nginx_says.STATIC_HEADER}"
        if wish.header_routes and any(key.startswith(static) for key in self.extra):
            raise SpecError(field=static, found="set for canary Ingresses", wanted="a header route needs this annotation for itself")
        wanted = {**self.extra, **{f"{self.prefix}/{key}": value for key, value in nginx_says.split(wish, total=self.total).items()}}
        if wish.header_routes:
            wanted[HEADER_ROUTES] = written_down(wish.header_routes)
        if nginx_says.CLASS in kept:
            wanted[nginx_says.CLASS] = text(kept[nginx_says.CLASS], f"metadata.annotations.{nginx_says.CLASS}")
        return wanted

    def _canary_spec(self, stable: Manifest, wish: TrafficIntent) -> Manifest:
        """Copy the rules of *stable* that lead to the stable Service, so that they lead to the canary's."""
        spec = mapping(stable.get("spec"), "spec")
        names = {backend.role: backend.service for backend in wish.backends}
        service = names.get(Role.STABLE, "") or self.stable
        rules = [
            changed
            for index, rule in enumerate(entries(spec.get("rules"), "spec.rules"))
            if (changed := _redirected(rule, f"spec.rules[{index}]", service, names.get(Role.CANARY, ""))) is not None
        ]
        if not rules:
            raise SpecError(field="spec.rules", found=None, wanted=f'needs a path whose backend is the stable Service "{service}"')
        copied = {key: spec[key] for key in _COPIED if spec.get(key) is not None}
        if copied.get("ingressClassName") and nginx_says.CLASS in annotations(stable):
            del copied["ingressClassName"]  # no server takes a new Ingress that names its class twice
        return {**copied, "rules": rules}

    def _mirrored(self, stable: Manifest, wish: TrafficIntent) -> Manifest:
        """Give the stable Ingress with the mirror that *wish* wants, or without the one that we wrote."""
        key = f"{self.prefix}/{nginx_says.MIRROR}"
        kept = annotations(stable)
        ours = MIRROR_ROUTES in kept
        nginx_says.check_mirrors(wish.mirrors)
        target = ""
        if wish.mirrors:
            target = self._check_mirrored(stable, wish)
        elif not ours:
            return stable
        return with_annotation(with_annotation(stable, key, target), MIRROR_ROUTES, written_down(wish.mirrors))

    def _check_mirrored(self, stable: Manifest, wish: TrafficIntent | None = None) -> str:
        """Give the address of the mirror of *stable*."""
        backends = (wish or self._wish(0)).backends
        names = {backend.role: backend.service for backend in backends}
        key = f"{self.prefix}/{nginx_says.MIRROR}"
        kept = annotations(stable)
        if key in kept and MIRROR_ROUTES not in kept:
            raise SpecError(
                field=f"metadata.annotations.{key}", found=str(kept[key]), wanted="a mirror route needs this annotation for itself"
            )
        spec = mapping(stable.get("spec"), "spec")
        return nginx_says.mirror_target(spec, stable=names[Role.STABLE], canary=names.get(Role.CANARY, ""), namespace=self.namespace)


def nginx_router(rollout: Rollout, settings: Settings) -> NginxRouter:  # noqa: ARG001  every product's factory takes them
    """Give the router for the `nginx` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.nginx is None:
        raise ValueError("a Rollout without an nginx block has no NGINX router")
    nginx = routing.nginx
    prefix = nginx.annotation_prefix or PREFIX
    targets = _targets(nginx, rollout)
    standing = list(standing_routes(canary))
    return NginxRouter(
        owner=owner_of(rollout),
        namespace=rollout.metadata.namespace,
        canary=canary.canary_service,
        stable=canary.stable_service,
        targets=tuple({target.canary: target for target in targets}.values()),
        prefix=prefix,
        extra=_extra(nginx, prefix),
        maximum=100 if routing.max_traffic_weight is None else routing.max_traffic_weight,
        total=routing.max_traffic_weight is not None,
        mirror_field=next((each.field for each in standing if each.mirrors), ""),
        malformed=(*_malformed(nginx, targets), *_unsayable(canary, _extra(nginx, prefix), prefix)),
    )


_OURS: Final = ("canary", "canary-weight", "canary-weight-total", "canary-by-header", "canary-by-header-value", "canary-by-header-pattern")


def _extra(nginx: NginxRouting, prefix: str) -> dict[str, str]:
    """Give the user's annotations of canary Ingresses; those of `canaryIngressAnnotations` win, and their keys are literal."""
    short = nginx.additional_ingress_annotations.items()
    additional = {key if key.startswith(prefix) else f"{prefix}/{key}": value for key, value in short}
    return {**additional, **nginx.canary_ingress_annotations}


def _targets(nginx: NginxRouting, rollout: Rollout) -> list[Target]:
    singular = [(f"{_FIELD}.stableIngress", nginx.stable_ingress)] if nginx.stable_ingress else []
    plural = [(f"{_FIELD}.stableIngresses[{index}]", name) for index, name in enumerate(nginx.stable_ingresses)]
    space = rollout.metadata.namespace
    return [
        Target(
            stable=Ref(group=GROUP, kind="Ingress", namespace=space, name=name),
            canary=Ref(group=GROUP, kind="Ingress", namespace=space, name=f"{f'{rollout.metadata.name}-{name}'[:_LONGEST]}-canary"),
            field=field,
        )
        for field, name in (*singular, *plural)
        if name
    ]


def _malformed(nginx: NginxRouting, targets: Sequence[Target]) -> Iterator[SpecError]:
    if bool(nginx.stable_ingress) == bool(nginx.stable_ingresses):
        both = "both" if nginx.stable_ingress else None
        yield SpecError(field=_FIELD, found=both, wanted="needs exactly one of stableIngress and stableIngresses")
    for index, name in enumerate(nginx.stable_ingresses):
        if not name:
            yield SpecError(field=f"{_FIELD}.stableIngresses[{index}]", found=None, wanted="needs the name of an Ingress")
    taken: dict[Ref, str] = {}
    for target in targets:
        known = taken.setdefault(target.canary, target.stable.name)
        if known != target.stable.name or [each.stable for each in targets].index(target.stable) != targets.index(target):
            wanted = f"must be listed once, and the name of its canary Ingress, {target.canary.name}, must not be that of another"
            yield SpecError(field=target.field, found=target.stable.name, wanted=wanted)


def _unsayable(canary: CanaryStrategy, extra: Mapping[str, str], prefix: str) -> Iterator[SpecError]:
    """Name the steps whose routes, with those that stand there already, the annotations cannot say."""
    static = next((key for key in extra if key.startswith(f"{prefix}/{nginx_says.STATIC_HEADER}")), "")
    for standing in standing_routes(canary):
        header = standing.field.endswith("setHeaderRoute")
        if header and static:
            wanted = f'the router "nginx" needs the annotation {static}, which the nginx block sets, for itself'
            yield SpecError(field=standing.field, found=standing.name, wanted=wanted)
        try:
            if header:
                nginx_says.by_header(standing.headers)
            else:
                nginx_says.check_mirrors(standing.mirrors)
        except SpecError as error:
            yield SpecError(field=standing.field, found=error.found, wanted=f'the router "nginx" needs {error.wanted}')


def _redirected(rule: Mapping[str, Any], at: str, stable: str, canary: str) -> Manifest | None:
    """Give *rule* with the backends of *stable* led to *canary*, or nothing where none is."""
    changed: list[Manifest] = []
    meant = False
    for place, path in nginx_says.paths_of(rule, at):
        service = nginx_says.service_of(path, place)
        if stable and service.get("name") == stable:
            meant = True
            backend = {**path["backend"], "service": {**service, "name": canary}}
            changed.append({**path, "backend": backend})
        else:
            changed.append(dict(path))
    return {**rule, "http": {**rule["http"], "paths": changed}} if meant else None


def _number(value: object, *, default: int) -> int:
    """Read a number as ingress-nginx does: what is none is the default."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else default
