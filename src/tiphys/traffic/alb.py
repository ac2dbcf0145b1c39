"""How does an Application Load Balancer of AWS say this traffic wish? (Traffic-routing reference 4.2.)"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import AlbRouting, CanaryStrategy, Rollout
from tiphys.api.words import Reason, patching_ingresses
from tiphys.core.actions import Event
from tiphys.core.intent import Backend, Feature, HeaderRoute, Role, Routed, TrafficIntent
from tiphys.core.pairs import backends
from tiphys.core.wish import header_route
from tiphys.traffic import alb_verify
from tiphys.traffic.about import about
from tiphys.traffic.alb_annotations import PREFIX
from tiphys.traffic.alb_conditions import check_counts, conditions_of, match_problem
from tiphys.traffic.alb_ingress import Hand, headers_in, names_of, shares_in, written
from tiphys.traffic.named_members import container_ports, experiment_port, weighs_experiments
from tiphys.traffic.route_steps import Standing, standing_routes
from tiphys.traffic.router import Confirmation, Question, Ref, Rendered
from tiphys.traffic.settings import Settings
from tiphys.traffic.together import combine, combine_verified

GROUP: Final = "networking.k8s.io"
SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.EXPERIMENTS,
        Feature.PING_PONG,
    }
)

_FIELD: Final = "spec.strategy.canary.trafficRouting.alb"
_MANAGED: Final = "spec.strategy.canary.trafficRouting.managedRoutes"
_MAXIMUM: Final = 100
_MOST_GROUPS: Final = 5
_LONGEST_STICKY: Final = 604800
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An Ingress of the user's, and the field of the Rollout that names it."""

    ref: Ref
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbRouter:
    """
    Annotations of the user's Ingresses, and paths for header routes in their rules.

    *canary* and *stable* are the Services now; a wish brings its own. *standing* are the header routes that the steps will wish for.
    *unsayable* is what no load balancer can do of it, and *malformed* what is wrong with the `alb` block.
    """

    hand: Hand
    targets: tuple[Target, ...]
    canary: str
    stable: str
    managed: tuple[str, ...] = ()
    standing: tuple[Standing, ...] = ()
    unsayable: tuple[SpecError, ...] = ()
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "alb"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what a load balancer can do; what it can do only in part is among the problems, step by step."""
        return SUPPORTS

    def reads(self) -> Sequence[Ref]:
        """Name the Ingresses."""
        return [target.ref for target in self.targets]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the Ingresses."""
        problems = [*self.malformed, *self.unsayable]
        for target in self.targets:
            try:
                self._written(target, found, self._wish(0))
            except SpecError as error:
                problems.append(error)
                continue
            problems += self._unplaced(target, found)
        return list(dict.fromkeys(problems))

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the Ingresses say now; one that is not as we would write it agrees to nothing."""
        return combine([self._said(target, found) for target in self.targets])

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the Ingresses that say *wish*; without a canary in it they keep nothing of ours but where the stable Service is.

        Raises:
            SpecError: the `alb` block is malformed, or no object can be rendered.

        """
        if self.malformed:
            raise self.malformed[0]
        apply: dict[Ref, Manifest] = {}
        errors: list[SpecError] = []
        warnings: list[str] = []
        for target in self.targets:
            try:
                apply[target.ref], foreign = self._written(target, found, wish)
            except SpecError as error:
                errors.append(error)
                continue
            warnings += (f"{target.ref}: {name} was there before, and now is the managed route's" for name in foreign)
        if errors and not apply:
            raise errors[0]
        changed = [ref.name for ref, manifest in apply.items() if manifest != found[ref]]
        message = patching_ingresses(changed, wish.weight(Role.CANARY))
        event = Event(reason=Reason.PATCHING_ALB_INGRESS, message=message) if changed else None
        return Rendered(apply=apply, warnings=tuple(warnings), errors=tuple(errors), event=event)

    def _wish(self, canary: int, experiments: tuple[Backend, ...] = (), headers: tuple[HeaderRoute, ...] = ()) -> TrafficIntent:
        rest = _MAXIMUM - canary - sum(experiment.weight for experiment in experiments)
        stable = Backend(role=Role.STABLE, service=self.stable, weight=rest)
        return TrafficIntent(
            backends=(stable, Backend(role=Role.CANARY, service=self.canary, weight=canary), *experiments),
            header_routes=headers,
            managed=self.managed,
        )

    def _said(self, target: Target, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read one Ingress; what we would write for the answer must be what stands there, or the answer is not uniform."""
        try:
            manifest = found[target.ref]
            shares = shares_in(manifest, self.hand, canary=self.canary, stable=self.stable)
            headers = headers_in(manifest, self.hand, self.managed, [route for each in self.standing for route in each.headers])
        except (KeyError, SpecError):
            return None
        if shares is None:
            return None
        canary, experiments = shares
        try:
            again, _ = self._written(target, found, self._wish(canary, experiments, headers))
        except SpecError:  # routes that were sayable once: they are seen, and have to go
            again = {}
        rest = _MAXIMUM - canary - sum(experiment.weight for experiment in experiments)
        return Routed(canary=canary, stable=rest, experiments=experiments, header_routes=headers, uniform=again == manifest)

    def _written(self, target: Target, found: Mapping[Ref, Manifest], wish: TrafficIntent) -> tuple[Manifest, list[str]]:
        manifest = found.get(target.ref)
        if manifest is None:
            raise SpecError(field=target.field, found=target.ref.name, wanted=f"must name an existing Ingress ({target.ref})")
        with about(target.field, target.ref.name, target.ref):
            return written(manifest, self.hand, wish)

    def _unplaced(self, target: Target, found: Mapping[Ref, Manifest]) -> Iterator[SpecError]:
        """Name the steps whose routes the rules of an Ingress have no room for."""
        for standing in self.standing:
            try:
                written(found[target.ref], self.hand, self._wish(0, headers=standing.headers))
            except SpecError as error:
                yield SpecError(field=standing.field, found=standing.name, wanted=f"{target.ref}: {error}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAlbRouter(AlbRouter):
    """One whose load balancers AWS is asked about; *tags* mark the target groups that the load balancer controller makes."""

    tags: tuple[str, ...]

    def questions(self, found: Mapping[Ref, Manifest]) -> Sequence[Question]:
        """Ask AWS about the load balancers of the Ingresses."""
        return alb_verify.questions(found, self.reads())

    def confirmed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest]) -> Confirmation:
        """Judge whether the load balancers split as the Ingresses say."""
        told = self._judged(found, lambda seen: alb_verify.weights_confirmed(seen, answers, canary=self.canary, tags=self.tags))
        sides = {"canary": self.canary, "stable": self.stable}
        balancers = (alb_verify.described(seen, answers, self.hand, self.tags, **sides) for seen in self._watched(found))
        return replace(told, balancers=tuple(balancers))

    def placed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest], serving: Mapping[str, frozenset[str]]) -> Confirmation:
        """Judge whether the load balancers know the pods."""
        return self._judged(found, lambda seen: alb_verify.targets_confirmed(seen, answers, serving, canary=self.canary, tags=self.tags))

    def _watched(self, found: Mapping[Ref, Manifest]) -> list[alb_verify.Watched]:
        read = (alb_verify.watched(ref, found.get(ref), self.hand) for ref in self.reads())
        return [seen for seen in read if seen is not None]

    def _judged(self, found: Mapping[Ref, Manifest], judge: Callable[[alb_verify.Watched], Confirmation]) -> Confirmation:
        return combine_verified([judge(seen) for seen in self._watched(found)])


def alb_router(rollout: Rollout, settings: Settings) -> AlbRouter:
    """Give the router for the `alb` block of *rollout*, which must have one; what is wrong with the block is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None or routing.alb is None:
        raise ValueError("a Rollout without an alb block has no ALB router")
    alb = routing.alb
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    managed = tuple(dict.fromkeys(route.name for route in routing.managed_routes))
    malformed = list(_malformed(alb))
    experiments = str(alb.service_port)
    if weighs_experiments(canary):
        try:
            experiments = str(experiment_port(alb.service_port, container_ports(rollout), f"{_FIELD}.servicePort"))
        except SpecError as error:
            malformed.append(error)
    sticky = alb.stickiness_config
    router = AlbRouter(
        hand=Hand(
            rollout=rollout.metadata.name,
            action=alb.root_service or pair.stable,
            port=str(alb.service_port),
            experiments_port=experiments,
            prefix=alb.annotation_prefix or PREFIX,
            sticky=sticky.duration_seconds if sticky is not None and sticky.enabled else 0,
        ),
        targets=tuple(dict.fromkeys(_targets(alb, rollout.metadata.namespace))),
        canary=pair.canary,
        stable=pair.stable,
        managed=managed,
        standing=tuple(each for each in standing_routes(canary) if each.field.endswith("setHeaderRoute")),
        unsayable=tuple(_unsayable(canary, alb.root_service or pair.stable, managed)),
        malformed=tuple(malformed),
    )
    if not settings.verify_target_groups:
        return router
    given = {each.name: getattr(router, each.name) for each in fields(router)}
    return VerifiedAlbRouter(**given, tags=tuple(dict.fromkeys((settings.alb_tag, *alb_verify.TAGS))))


def _targets(alb: AlbRouting, namespace: str) -> Iterator[Target]:
    singular = [(f"{_FIELD}.ingress", alb.ingress)] if alb.ingress else []
    plural = [(f"{_FIELD}.ingresses[{index}]", name) for index, name in enumerate(alb.ingresses)]
    known: set[str] = set()
    for at, name in (*singular, *plural):
        if name and name not in known:
            known.add(name)
            yield Target(ref=Ref(group=GROUP, kind="Ingress", namespace=namespace, name=name), field=at)


def _malformed(alb: AlbRouting) -> Iterator[SpecError]:
    if bool(alb.ingress) == bool(alb.ingresses):
        both = "both" if alb.ingress else None
        yield SpecError(field=_FIELD, found=both, wanted="needs exactly one of ingress and ingresses")
    for index, name in enumerate(alb.ingresses):
        if not name or name in alb.ingresses[:index]:
            yield SpecError(field=f"{_FIELD}.ingresses[{index}]", found=name or None, wanted="needs the name of another Ingress")
    if not 1 <= alb.service_port <= _HIGHEST_PORT:
        yield SpecError(field=f"{_FIELD}.servicePort", found=alb.service_port, wanted=f"must be 1 to {_HIGHEST_PORT}")
    sticky = alb.stickiness_config
    if sticky is not None and sticky.enabled and not 1 <= sticky.duration_seconds <= _LONGEST_STICKY:
        wanted = f"must be 1 to {_LONGEST_STICKY} while stickiness is enabled"
        yield SpecError(field=f"{_FIELD}.stickinessConfig.durationSeconds", found=sticky.duration_seconds, wanted=wanted)


def _unsayable(canary: CanaryStrategy, action: str, managed: Sequence[str]) -> Iterator[SpecError]:
    """Name the fields of steps that no load balancer can do, whatever the Ingresses look like."""
    taken: dict[str, str] = {action: "the Service that the weights are for"}
    for name in managed:
        if name == action:
            yield SpecError(field=_MANAGED, found=name, wanted="must not be the name under which the weights stand")
        taken.setdefault(name, f'the managed route "{name}"')
    for index, step in enumerate(canary.steps):
        at = f"spec.strategy.steps[{index}]"
        if step.set_header_route is not None and step.set_header_route.match:
            yield from _unsayable_header(header_route(step.set_header_route), f"{at}.setHeaderRoute", taken)
        if step.experiment is not None:
            weighted = [template.name for template in step.experiment.templates if template.weight is not None]
            if len(weighted) > _MOST_GROUPS - 2:
                wanted = f'the router "alb" takes at most {_MOST_GROUPS - 2} templates with a weight: {_MOST_GROUPS} targets in all'
                yield SpecError(field=f"{at}.experiment.templates", found=", ".join(weighted), wanted=wanted)


def _unsayable_header(route: HeaderRoute, at: str, taken: Mapping[str, str]) -> Iterator[SpecError]:
    for index, match in enumerate(route.any_of):
        if problem := match_problem(match):
            found, wanted = problem
            yield SpecError(field=f"{at}.match[{index}]", found=found, wanted=f'the router "alb" needs {wanted}')
    conditions = conditions_of(route)
    try:
        check_counts(conditions)
    except SpecError as error:
        yield SpecError(field=at, found=error.found, wanted=f'the router "alb" needs {error.wanted} ({error.field})')
    for name in names_of(route.name, len(conditions))[1:]:
        if name in taken:
            wanted = f'the router "alb" needs the name {name} for it: several headers are several actions, and {taken[name]} has that name'
            yield SpecError(field=at, found=route.name, wanted=wanted)
