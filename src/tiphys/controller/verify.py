"""Does the traffic of one Rollout really go where its routes say?"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.api.stepvalidation import ROUTING
from tiphys.controller.cluster import key_of
from tiphys.controller.inquiries import Heard, Inquiries
from tiphys.core.observed import Observed, RouterPicture, Verification
from tiphys.core.verified import confirmed_before, nobody_is_asked, nothing_waits
from tiphys.kube.store import Key, identity
from tiphys.traffic.probe import share_probe
from tiphys.traffic.router import Asking, Confirmation, Placing, Question, Ref, Router
from tiphys.traffic.together import combine_verified

Serving = Mapping[str, frozenset[str]]
"""The ready addresses of each Service that a Rollout names."""

CALM: Final = 30.0
"""How many intervals lie between two questions where nothing waits for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What is known of the traffic: the picture of the routers with it, and what went wrong in asking."""

    picture: RouterPicture | None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """What the objects of a Rollout were, and who is asked, when that was first seen so; and what was said of them for good."""

    objects: Hashable
    asking: tuple[Asking, ...]
    since: int
    said: Confirmation | None = None
    heard_at: datetime | None = None


class Verifier:
    """
    Asks the products of routers that can be asked (`Asking`) and the probe that a Rollout names, beside what objects report by themselves.

    A *yes* counts until an object changes (by resourceVersion); so a Rollout at rest asks nothing. An answer counts only if it was
    asked after the objects were seen as they are now, which is after we wrote them.
    """

    def __init__(self, inquiries: Inquiries, *, probes: bool = True) -> None:
        self._inquiries = inquiries
        self._probes = probes
        self._states: dict[Key, _State] = {}

    def look(self, seen: Observed, routers: tuple[Router, ...], found: Mapping[Ref, Manifest], serving: Serving) -> Verified:
        """Complete the picture of the routers in *seen*, and have asked what has to be asked; *serving* as for `Placing`."""
        key, picture = key_of(seen.rollout), seen.router
        asking: list[Asking] = [router for router in routers if isinstance(router, Asking)]
        probe = share_probe(seen) if picture is not None else None
        if probe is not None:
            asking.append(probe)
        if picture is None or not asking or nobody_is_asked(seen):
            self.forget(key)
            return Verified(picture=None if picture is None else replace(picture, balancers=()))
        if seen.problems:
            self._inquiries.rest(key)  # nothing moves forward, so nothing waits
            return Verified(picture=picture)
        state = self._state(key, seen, asking, found, serving)
        said = state.said
        if said is None and nothing_waits(seen) and confirmed_before(seen):
            # Only for as long as nothing waits: an update that begins asks about the objects as they are then.
            said = Confirmation(verified=Verification.YES, detail="confirmed before", balancers=None)
        if said is not None:
            self._inquiries.rest(key)
            return Verified(picture=_with(picture, said, state.heard_at))
        return self._ask(seen, state, asking, found, serving)

    def problems(self, rollout: Rollout) -> tuple[SpecError, ...]:
        """Say what the operator does not allow: with *probes* off, nobody may let the controller send requests to a URL."""
        canary = rollout.spec.strategy.canary
        routing = None if canary is None else canary.traffic_routing
        probe = None if routing is None or routing.verification is None else routing.verification.probe
        if self._probes or probe is None:
            return ()
        wanted = "no probe: this controller was started with --no-probes"
        return (SpecError(field=f"{ROUTING}.verification.probe", found=probe.url, wanted=wanted),)

    def forget(self, key: Key) -> None:
        """Drop what is known of a Rollout that is gone or asks nobody."""
        if self._states.pop(key, None) is not None:
            self._inquiries.rest(key)

    def _state(self, key: Key, seen: Observed, asking: Sequence[Asking], found: Mapping[Ref, Manifest], serving: Serving) -> _State:
        services = tuple((name, service.metadata.resource_version) for name, service in seen.services.items())
        objects = (tuple((ref, identity(manifest).version) for ref, manifest in found.items()), services, tuple(serving.items()))
        known, whom = self._states.get(key), tuple(asking)
        if known is None or known.objects != objects or known.asking != whom:
            known = self._states[key] = _State(objects, whom, self._inquiries.moment())
        return known

    def _ask(self, seen: Observed, state: _State, asking: Sequence[Asking], found: Mapping[Ref, Manifest], serving: Serving) -> Verified:
        key = key_of(seen.rollout)
        confirmations: list[Confirmation] = []
        open_questions: list[Question] = []
        errors: list[str] = []
        times: list[datetime] = []
        for router in asking:
            questions = router.questions(found)
            heard = self._inquiries.heard(questions, state.since)
            confirmation = _missing(heard, questions) if heard.missing else _judged(router, found, heard.answers, serving)
            confirmations.append(confirmation)
            errors += heard.errors
            if heard.at is not None:
                times.append(heard.at)
            if confirmation.verified is Verification.NOT_YET:
                open_questions += questions
        told, heard_at = combine_verified(confirmations), max(times, default=None)
        assert seen.router is not None  # noqa: S101 - `look` asks nobody without routers
        if told.verified is not Verification.NOT_YET:
            self._states[key] = replace(state, said=told, heard_at=heard_at)
            self._inquiries.rest(key)
            return Verified(picture=_with(seen.router, told, heard_at))
        ask_at = self._inquiries.want(key, open_questions, state.since, patience=CALM if nothing_waits(seen) else 1.0)
        return Verified(picture=replace(_with(seen.router, told, heard_at), ask_at=ask_at), errors=tuple(errors))


def _missing(heard: Heard, questions: Sequence[Question]) -> Confirmation:
    reason = next((question.trouble for question in questions if question.trouble), "") if heard.errors else ""
    detail = "; ".join(dict.fromkeys(heard.missing))
    return Confirmation(verified=Verification.NOT_YET, detail=detail, reason=reason, balancers=None)


def _judged(router: Asking, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest], serving: Serving) -> Confirmation:
    confirmed = router.confirmed(found, answers)
    return combine_verified([confirmed, router.placed(found, answers, serving)]) if isinstance(router, Placing) else confirmed


def _with(picture: RouterPicture, told: Confirmation, heard_at: datetime | None) -> RouterPicture:
    """Give *picture* with what was answered beside what its objects report by themselves: *not yet* outweighs all (S7)."""
    reported = Confirmation(verified=picture.verified, detail=picture.detail)
    both = combine_verified([reported, told])
    return replace(picture, verified=both.verified, detail=both.detail, heard_at=heard_at, reason=both.reason, balancers=both.balancers)
