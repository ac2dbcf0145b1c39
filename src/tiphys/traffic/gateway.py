"""How does the Gateway API say this traffic wish? (Traffic-routing reference 4.10, 7.2, 8.4.)"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, Rollout, Step
from tiphys.core.intent import Feature, Role, Routed, TrafficIntent
from tiphys.core.pairs import backends
from tiphys.core.wish import fold_routes
from tiphys.traffic.gateway_route import Managed, Route, Services, managed_rules, said, take_apart, warnings, written
from tiphys.traffic.gateway_spec import Choice, Target, canary_problems, targets_of
from tiphys.traffic.gateway_status import cannot_mirror, reported
from tiphys.traffic.router import Confirmation, Ref, Rendered, Search
from tiphys.traffic.settings import Settings
from tiphys.traffic.shares import wished_experiments
from tiphys.traffic.together import combine, combine_verified

SUPPORTS: Final = frozenset(
    {
        Feature.WEIGHTS,
        Feature.HEADER_EXACT,
        Feature.HEADER_PREFIX,
        Feature.HEADER_REGEX,
        Feature.MIRROR,
        Feature.EXPERIMENTS,
        Feature.PING_PONG,
        Feature.MAX_WEIGHT,
    }
)

_OF_RULES: Final = frozenset({Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRouter:
    """
    Routes that split between two Services.

    *canary* and *stable* are the Services by role as the status has it; a wish brings its own. *steps* are the Rollout's: what they ask
    for is tried on the routes found. *malformed* is what is wrong with the Rollout's own block.
    """

    namespace: str
    canary: str
    stable: str
    targets: tuple[Target, ...]
    choices: tuple[Choice, ...] = ()
    steps: tuple[Step, ...] = ()
    managed: tuple[str, ...] = ()
    maximum: int = 100
    malformed: tuple[SpecError, ...] = ()

    @property
    def name(self) -> str:
        """Name the product."""
        return "gatewayAPI"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what the routes can do; TCP and TLS routes know no headers, and a list of the plugin's says which of its routes do."""
        named = self.targets or self.choices
        return SUPPORTS if not named or any(target.takes_routes for target in self.targets) else SUPPORTS - _OF_RULES

    def reads(self) -> Sequence[Ref]:
        """Name the routes."""
        return [target.ref for target in self.targets]

    def searches(self) -> Sequence[Search]:
        """Name what the routes that are chosen by labels have."""
        return [search for choice in self.choices for search in choice.searches]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell everything that is wrong with, or missing from, the objects."""
        problems = [*self.malformed]
        problems += [choice.missing() for choice in self.choices if not any(choice.fits(*each) for each in found.items())]
        for target in self._targets(found):
            try:
                route = self._taken_apart(target, found, self._services(None), self.managed)
            except SpecError as error:
                problems.append(error)
            else:
                problems += self._step_problems(route)
        return problems

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Read what the objects say now; a route that cannot be read agrees to nothing, and one that takes no managed routes to all."""
        answers = [(target, self._said(target, found)) for target in self._targets(found)]
        takers = [answer for target, answer in answers if target.takes_routes and answer is not None]
        return combine(
            [
                replace(answer, header_routes=takers[0].header_routes, mirrors=takers[0].mirrors)
                if answer is not None and takers and not target.takes_routes
                else answer
                for target, answer in answers
            ]
        )

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the objects that say *wish*.

        Raises:
            SpecError: the block is malformed, or no object can be rendered.

        """
        if self.malformed:
            raise self.malformed[0]
        apply: dict[Ref, Manifest] = {}
        told: list[str] = []
        errors: list[SpecError] = []
        services = self._services(wish)
        for target in self._targets(found):
            try:
                route = self._taken_apart(target, found, services, wish.managed)
                apply[target.ref] = written(route, wish)
                told += [f"{target.ref}: {warning}" for warning in warnings(route, wish)]
            except SpecError as error:
                errors.append(_about(target, error))
        if errors and not apply:
            raise errors[0]
        return Rendered(apply=apply, warnings=tuple(told), errors=tuple(errors))

    def reported(self, found: Mapping[Ref, Manifest]) -> Confirmation:
        """Say whether the implementations have taken every route as it is now, by its status."""
        return combine_verified([reported(each.ref, found[each.ref]) for each in self._targets(found) if each.ref in found])

    def _targets(self, found: Mapping[Ref, Manifest]) -> Sequence[Target]:
        """Give the routes that are named, and those of *found* that are chosen by labels."""
        named = {target.ref for target in self.targets}
        chosen = {
            ref: Target(ref=ref, field=choice.field, label=choice.label)
            for choice in self.choices
            for ref, manifest in found.items()
            if ref not in named and choice.fits(ref, manifest)
        }
        return (*self.targets, *(chosen[ref] for ref in sorted(chosen)))

    def _services(self, wish: TrafficIntent | None) -> Services:
        """Say which Services are meant; the roles of *wish* come before those of the status."""
        wished = {} if wish is None else {backend.role: backend.service for backend in wish.backends if backend.service}
        stable = wished.get(Role.STABLE) or self.stable
        return Services(
            namespace=self.namespace,
            canary=wished.get(Role.CANARY) or (self.stable if stable == self.canary else self.canary),
            stable=stable,
            wanted=frozenset() if wish is None else frozenset(wished_experiments(wish)),
        )

    def _taken_apart(self, target: Target, found: Mapping[Ref, Manifest], services: Services, managed: Sequence[str]) -> Route:
        manifest = found.get(target.ref)
        if manifest is None:
            raise SpecError(field=target.field, found=target.ref.name, wanted=f"must name an existing {target.ref.kind} ({target.ref})")
        try:
            return take_apart(manifest, target, services, managed)
        except SpecError as error:
            raise _about(target, error) from None

    def _said(self, target: Target, found: Mapping[Ref, Manifest]) -> Routed | None:
        try:
            return said(self._taken_apart(target, found, self._services(None), self.managed), self.maximum)
        except SpecError:
            return None

    def _step_problems(self, route: Route) -> list[SpecError]:
        """Try on *route* what the steps will ask of it; the first step that asks the impossible is named."""
        if not route.target.takes_routes:
            return []
        for index, step in enumerate(self.steps):
            if step.set_header_route is None and step.set_mirror_route is None:
                continue
            headers, mirrors = fold_routes(self.steps, index, self.managed)
            field = f"spec.strategy.steps[{index}].{'setHeaderRoute' if step.set_header_route is not None else 'setMirrorRoute'}"
            unable = cannot_mirror(route.manifest) if mirrors else None
            if step.set_mirror_route is not None and unable is not None:
                wanted = f"{route.target.ref}: {unable}, which reads this route, cannot mirror"
                return [SpecError(field=field, found=step.set_mirror_route.name, wanted=wanted)]
            try:
                managed_rules(route, Managed(headers=headers, mirrors=mirrors), self.managed)
            except SpecError as error:
                return [SpecError(field=field, found=error.found, wanted=f"{route.target.ref}: {error.wanted}")]
        return []


def gateway_router(rollout: Rollout, settings: Settings) -> GatewayRouter:  # noqa: ARG001  what every product of the table is given
    """Give the router for the Gateway API blocks of *rollout*; what is wrong with them is among its problems."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing
    if routing is None:
        raise ValueError("a Rollout without trafficRouting has no Gateway API router")
    pair = backends(canary, rollout.status.canary.stable_ping_pong)
    targets, choices, malformed = targets_of(routing, rollout.metadata.namespace)
    return GatewayRouter(
        namespace=rollout.metadata.namespace,
        canary=pair.canary,
        stable=pair.stable,
        targets=targets,
        choices=choices,
        steps=canary.steps,
        managed=tuple(dict.fromkeys(route.name for route in routing.managed_routes)),
        maximum=100 if routing.max_traffic_weight is None else routing.max_traffic_weight,
        malformed=(*malformed, *canary_problems(canary, targets)),
    )


def _about(target: Target, error: SpecError) -> SpecError:
    """Say of an error found in a route which field of the Rollout named the route, and which route it is."""
    if str(target.ref) in error.wanted:
        return error
    return SpecError(field=target.field, found=target.ref.name, wanted=f"{target.ref}: {error}")
