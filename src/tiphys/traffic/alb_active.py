"""Does the load balancer know the pods of a blue-green Rollout's active Service? (Traffic-routing reference 4.2.7)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.intent import Feature, Routed, TrafficIntent
from tiphys.core.observed import Verification
from tiphys.traffic import alb_verify
from tiphys.traffic.alb_annotations import ACTION, PREFIX, read_action
from tiphys.traffic.alb_paths import backends_of, default_of, rules_of
from tiphys.traffic.manifests import annotations, mapping
from tiphys.traffic.router import Confirmation, Question, Ref, Rendered, Search
from tiphys.traffic.settings import Settings
from tiphys.traffic.together import combine_verified

GROUP: Final = "networking.k8s.io"
KIND: Final = "Ingress"
CLASS: Final = "alb"
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveTargets:
    """
    Ingresses behind ALB that send requests to the *active* Service, which nobody steers: its selector does.

    They say no weights, and nothing is written to them. *tags* mark the target groups that the load balancer controller makes.
    """

    namespace: str
    active: str
    tags: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name the product."""
        return "alb"

    @property
    def supports(self) -> frozenset[Feature]:
        """Say that nothing can be steered here."""
        return frozenset()

    def reads(self) -> Sequence[Ref]:
        """Name nothing: the Rollout names no Ingress."""
        return ()

    def searches(self) -> Sequence[Search]:
        """Look for the Ingresses that send requests to the active Service."""
        return (Search(group=GROUP, kind=KIND, namespace=self.namespace, name=self.active),)

    def problems(self, found: Mapping[Ref, Manifest]) -> Sequence[SpecError]:
        """Find nothing wrong: without an Ingress nobody has to be asked."""
        del found
        return ()

    def routed(self, found: Mapping[Ref, Manifest]) -> Routed | None:
        """Say that there are no weights."""
        del found
        return None

    def render(self, wish: TrafficIntent, found: Mapping[Ref, Manifest]) -> Rendered:
        """Write nothing."""
        del wish, found
        return Rendered()

    def questions(self, found: Mapping[Ref, Manifest]) -> Sequence[Question]:
        """Ask AWS about the load balancers of the Ingresses."""
        return alb_verify.questions(found, self._ingresses(found))

    def confirmed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest]) -> Confirmation:
        """Say nothing of weights: there are none."""
        del found, answers
        return Confirmation(verified=Verification.CANNOT_KNOW)

    def placed(self, found: Mapping[Ref, Manifest], answers: Mapping[str, Manifest], serving: Mapping[str, frozenset[str]]) -> Confirmation:
        """Judge whether every load balancer has registered every ready address of the active Service."""
        addresses = serving.get(self.active, frozenset())
        return combine_verified(
            [
                alb_verify.service_confirmed(ref, alb_verify.hostnames(found[ref]), answers, self.active, addresses, tags=self.tags)
                for ref in self._ingresses(found)
            ]
        )

    def _ingresses(self, found: Mapping[Ref, Manifest]) -> list[Ref]:
        return [
            ref
            for ref, manifest in found.items()
            if (ref.group, ref.kind) == (GROUP, KIND) and _is_for_alb(manifest) and self.active in set(mentions(manifest))
        ]


def active_targets(rollout: Rollout, settings: Settings) -> ActiveTargets | None:
    """Make it for a blue-green Rollout, where the operator lets AWS be asked."""
    blue_green = rollout.spec.strategy.blue_green
    if blue_green is None or rollout.spec.strategy.canary is not None or not settings.verify_target_groups or not blue_green.active_service:
        return None
    tags = tuple(dict.fromkeys((settings.alb_tag, *alb_verify.TAGS)))
    return ActiveTargets(namespace=rollout.metadata.namespace, active=blue_green.active_service, tags=tags)


def mentions(manifest: Manifest) -> Iterator[str]:
    """Name the Services that an Ingress sends requests to, by its rules or by its actions."""
    try:
        yield from {name for _, name, _ in backends_of(rules_of(manifest))} | ({default_of(manifest)} - {""})
        said = [read_action(text) for key, text in annotations(manifest).items() if key.startswith(f"{PREFIX}{ACTION}")]
    except SpecError:
        return
    yield from {group.service for action in said if action is not None for group in action.groups}


def _is_for_alb(manifest: Manifest) -> bool:
    """Tell whether an Ingress is the load balancer controller's: by its class, or by annotations that only that one reads."""
    try:
        kept = annotations(manifest)
        chosen = kept.get(CLASS_ANNOTATION) or mapping(manifest.get("spec"), "spec").get("ingressClassName")
    except SpecError:
        return False
    return chosen == CLASS or any(key.startswith(f"{PREFIX}/") for key in kept)
