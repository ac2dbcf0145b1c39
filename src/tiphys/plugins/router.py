"""How is a traffic wish said to a router in another process? Like to every other one: through the documents that stand for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tiphys.api.defaults import max_traffic_weight
from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import CanaryStrategy, Rollout, TrafficRouting
from tiphys.core.intent import Feature, Role, Routed, TrafficIntent
from tiphys.core.observed import Verification
from tiphys.core.pairs import Pair, backends
from tiphys.plugins.contract import VERDICTS, VERSION, Self, Share, Traffic, canonical, features_of, routed_of, traffic_of
from tiphys.plugins.documents import Held, Known, read_self, read_state, self_ref, state_ref, wished_document
from tiphys.traffic.owned import Owner, owner_of
from tiphys.traffic.router import Confirmation, Ref, Rendered
from tiphys.traffic.table import needed

SUPPORTS: Final = frozenset(Feature)
"""What the contract can say. What a router can do it tells itself, and `problems` refuses the rest by field."""


def external_router(plugin: str, rollout: Rollout) -> "ExternalRouter":
    """Make the router *plugin* for *rollout*."""
    canary = rollout.spec.strategy.canary or CanaryStrategy()
    routing = canary.traffic_routing or TrafficRouting()
    metadata = rollout.metadata
    return ExternalRouter(
        name=plugin,
        rollout=rollout,
        owner=owner_of(rollout),
        config=_config(routing.plugins.get(plugin)),
        maximum=max_traffic_weight(canary),
        pair=backends(canary, rollout.status.canary.stable_ping_pong),
        router=self_ref(plugin),
        state=state_ref(plugin, metadata.namespace, metadata.name),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalRouter:
    """A router of which only what it said is known: *config* is its part of the Rollout, as canonical JSON; *maximum* the whole traffic."""

    name: str
    rollout: Rollout
    owner: Owner
    config: str
    maximum: int
    pair: Pair
    router: Ref
    state: Ref

    @property
    def supports(self) -> frozenset[Feature]:
        """Say what the contract can express."""
        return SUPPORTS

    @property
    def field(self) -> str:
        """Name where the Rollout speaks of this router."""
        return f"spec.strategy.canary.trafficRouting.plugins[{self.name}]"

    def reads(self) -> Sequence[Ref]:
        """Name the document of the router itself and that of this Rollout."""
        return [self.router, self.state]

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Tell what the router cannot do, and what it says is wrong."""
        errors: list[SpecError] = []
        try:
            known = self._known(found)
            if known.said is not None:
                errors += self._wrong_partner(known.said) or self._lacking(known.said)
            held = self._held(found)
            for problem in () if held is None else held.problems:
                at = f"{self.field}.{problem.field}" if problem.field else self.field
                errors.append(SpecError(field=at, found=problem.found, wanted=problem.wanted))
        except SpecError as error:
            errors.append(error)
        return errors

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """
        Read what the router says.

        A router that holds no wish gives the canary nothing: that is part of the contract.
        """
        try:
            known, held = self._known(found), self._held(found)
        except SpecError:
            return None
        if held is None:
            return routed_of(self._at_rest(), uniform=False) if known.listed else None
        if held.traffic is None:
            return None
        traffic = self._by_present_roles(held.traffic)
        ours = held.config == self.config and held.traffic.maximum == self.maximum
        return routed_of(traffic or held.traffic, uniform=held.uniform and ours and traffic is not None)

    def _at_rest(self) -> Traffic:
        return Traffic(backends=(Share(role=Role.STABLE, service=self.pair.stable, weight=self.maximum),), maximum=self.maximum)

    def _by_present_roles(self, traffic: Traffic) -> Traffic | None:
        """
        Give the Services in *traffic* the roles that they have now: with ping-pong they change places without a word to the router.

        Nothing where it names other Services than the Rollout does, or has routes to one that is not the canary's any more.
        """
        pair = self.pair
        if not pair.stable:
            return traffic if all(not share.service for share in traffic.backends if share.role is not Role.EXPERIMENT) else None
        weights = {share.service: share.weight for share in traffic.backends if share.role is not Role.EXPERIMENT}
        moved = any((share.role is Role.STABLE) != (share.service == pair.stable) for share in traffic.backends if share.service in weights)
        if not weights.keys() <= {pair.stable, pair.canary} or (moved and (traffic.header_routes or traffic.mirrors)):
            return None
        sides = ((Role.STABLE, pair.stable), (Role.CANARY, pair.canary))
        backends = tuple(Share(role=role, service=service, weight=weights.get(service, 0)) for role, service in sides)
        experiments = (share for share in traffic.backends if share.role is Role.EXPERIMENT)
        return msgspec.structs.replace(traffic, backends=(*backends, *experiments))

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """
        Give the document that asks for *wish*; the one that is found where it already does.

        Raises:
            SpecError: what stands there cannot be read, or is another Rollout's.

        """
        self._known(found)
        present = found.get(self.state)
        routed = self.routed(found) if self._held(found) is not None else None
        if present is not None and routed is not None and routed.says(wish):
            return Rendered(apply={self.state: present})
        asked = wished_document(
            present, self.state, self.owner, config=self.config, traffic=traffic_of(wish), managed=tuple(dict.fromkeys(wish.managed))
        )
        return Rendered(apply={self.state: asked})

    def reported(self, found: Mapping[Ref, Manifest]) -> Confirmation:
        """Say what the router knows of its product; one that is silent has not confirmed anything yet."""
        try:
            silence, held = self.silence(found), self._held(found)
        except SpecError as error:
            return Confirmation(verified=Verification.NOT_YET, detail=str(error))
        if silence:
            return Confirmation(verified=Verification.NOT_YET, detail=silence)
        if held is None:
            return Confirmation(verified=Verification.CANNOT_KNOW, detail=f"{self.name} holds no wish")
        verdict = VERDICTS.get(held.verified, Verification.NOT_YET)
        return Confirmation(verified=verdict, detail=f"{self.name}: {held.detail or held.verified}")

    def silence(self, found: Mapping[Ref, Manifest]) -> str:
        """Say why what is known of the router may be old; nothing while it answers."""
        known, held = self._known(found), self._held(found)
        return known.silence or ("" if held is None else held.silence)

    def _known(self, found: Mapping[Ref, Manifest]) -> Known:
        document = found.get(self.router)
        if document is None:
            raise SpecError(field=self.field, found=self.name, wanted=f"a router that has answered ({self.router})")
        try:
            return read_self(document)
        except SpecError as error:
            raise SpecError(field=self.field, found=self.name, wanted=f"a router that can be read ({self.router}): {error}") from error

    def _held(self, found: Mapping[Ref, Manifest]) -> Held | None:
        document = found.get(self.state)
        if document is None:
            return None
        try:
            self.owner.claim(document, self.state, field=self.field, found=self.name)
            return read_state(document)
        except SpecError as error:
            raise SpecError(field=self.field, found=self.name, wanted=f"a state that can be read ({self.state}): {error}") from error

    def _wrong_partner(self, said: Self) -> list[SpecError]:
        if VERSION in said.contracts:
            return []
        spoken = ", ".join(said.contracts) or "none"
        wanted = f"a router that keeps contract {VERSION}; {said.name} keeps: {spoken}"
        return [SpecError(field=self.field, found=self.name, wanted=wanted)]

    def _lacking(self, said: Self) -> Iterator[SpecError]:
        able = features_of(said)
        if Feature.WEIGHTS not in able:
            yield SpecError(field=self.field, found=self.name, wanted='a router that names "weights" among its features')
        for need in needed(self.rollout):
            if not need.features & able:
                yield SpecError(field=need.field, found=need.found, wanted=f'the router "{self.name}" cannot do this: {need.words()}')
        most = said.max_traffic_weight
        if most is not None and self.maximum > most:
            field = "spec.strategy.canary.trafficRouting.maxTrafficWeight"
            yield SpecError(field=field, found=self.maximum, wanted=f'must be at most {most}, the most of the router "{self.name}"')


def _config(raw: msgspec.Raw | None) -> str:
    return canonical(None if raw is None else msgspec.json.decode(raw))
