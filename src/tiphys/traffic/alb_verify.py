"""Does the load balancer do what an Ingress says, and does it know the pods? (Reference 4.2.5 to 4.2.7, 8.3)"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.status import AlbStatus, AwsResource
from tiphys.api.words import Reason
from tiphys.core.observed import Verification
from tiphys.traffic.alb_annotations import ACTION, Action, conditional, read_action, read_managed
from tiphys.traffic.alb_ingress import Hand
from tiphys.traffic.alb_paths import USE_ANNOTATION, backends_of, rules_of
from tiphys.traffic.manifests import annotations, entries, mapping, text
from tiphys.traffic.router import Confirmation, Question, Ref

VIA: Final = "elbv2"
TAGS: Final = ("ingress.k8s.aws/resource", "ingress.eks.amazonaws.com/resource")
"""The tags by which the load balancer controller, and that of EKS Auto Mode, mark a target group with what it is for."""

_FORWARDED: Final = "ip"
_LEAVING: Final = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """
    One Ingress, and what has to be known of its load balancers.

    *action* is what it says; *headers* tells whether header routes stand, and *direct* are Services that it sends requests to past the
    action.
    """

    ref: Ref
    names: tuple[str, ...]
    action: Action
    headers: bool
    direct: frozenset[str]


def questions(found: Mapping[Ref, Manifest], refs: Iterable[Ref]) -> list[Question]:
    """Ask about each load balancer of the Ingresses *refs* once, by its DNS name: the answer serves all that share it."""
    names = {name for ref in refs for name in hostnames(found.get(ref))}
    return [Question(key=name, via=VIA, request={"hostname": name}, trouble=Reason.TARGET_GROUP_VERIFY_ERROR) for name in sorted(names)]


def watched(ref: Ref, manifest: Manifest | None, hand: Hand) -> Watched | None:
    """Read the Ingress *ref*; nothing where it does not say weights yet, or cannot be read: then there is nothing to confirm."""
    try:
        if manifest is None:
            return None
        kept = annotations(manifest)
        action = read_action(kept.get(hand.key(ACTION, hand.action)))
        headers = bool(conditional(read_managed(kept).get(hand.rollout, [])))
        named = [(name, port) for _, name, port in backends_of(rules_of(manifest))]
    except SpecError:
        return None
    if action is None:
        return None
    direct = frozenset(name for name, port in named if port != USE_ANNOTATION)
    return Watched(ref=ref, names=tuple(hostnames(manifest)), action=action, headers=headers, direct=direct)


def weights_confirmed(seen: Watched, answers: Mapping[str, Manifest], *, canary: str, tags: Sequence[str]) -> Confirmation:
    """Say whether every rule of every load balancer of an Ingress that splits between its target groups has its weights."""
    if not seen.names:
        return _not_yet(f"{seen.ref} has no load balancer yet")
    wanted = _listed({group.service: group.weight for group in seen.action.groups})
    for name in seen.names:
        answer = answers[name]
        if answer["loadBalancer"] is None:
            return _not_yet(f"{seen.ref}: there is no load balancer {name}", Reason.LOAD_BALANCER_NOT_FOUND)
        problem = _differs(seen, answer, canary, tags)
        if problem:
            return _not_yet(f"{seen.ref}: {problem}, and {wanted} is wanted", Reason.TARGET_GROUP_UNVERIFIED)
    return Confirmation(verified=Verification.YES, detail=f"{seen.ref}: {wanted}", reason=Reason.TARGET_GROUP_VERIFIED)


def targets_confirmed(
    seen: Watched, answers: Mapping[str, Manifest], serving: Mapping[str, frozenset[str]], *, canary: str, tags: Sequence[str]
) -> Confirmation:
    """Say whether every ready address of a Service that gets requests is registered in its target groups of type `ip`, well or not."""
    for group in seen.action.groups:
        if not group.weight and not (seen.headers and group.service == canary):
            continue
        for answer in (answers[name] for name in seen.names):
            for known in _groups_of(answer, seen.ref, group.service, group.port, tags):
                missing = _unregistered(known, serving.get(group.service, frozenset()))
                if missing:
                    return _unknown(seen.ref, known, group.service, missing, len(serving[group.service]))
    return Confirmation(verified=Verification.YES, reason=Reason.TARGET_GROUP_VERIFIED)


def service_confirmed(
    ref: Ref, names: Iterable[str], answers: Mapping[str, Manifest], service: str, addresses: frozenset[str], *, tags: Sequence[str]
) -> Confirmation:
    """
    Say whether the load balancers *names* of an Ingress know every one of the *addresses* of a Service that nobody weighs.

    Where none of them has a target group for it, of addresses, nobody can know.
    """
    said = Confirmation(verified=Verification.CANNOT_KNOW)
    for name in names:
        if answers[name]["loadBalancer"] is None:
            return _not_yet(f"{ref}: there is no load balancer {name}", Reason.LOAD_BALANCER_NOT_FOUND)
        for known in _groups_of(answers[name], ref, service, "", tags):
            missing = _unregistered(known, addresses)
            if missing:
                return _unknown(ref, known, service, missing, len(addresses))
            if known["targetType"] == _FORWARDED:
                detail = f"{ref}: {known['name']} knows every ready address of the Service {service}"
                said = Confirmation(verified=Verification.YES, detail=detail, reason=Reason.TARGET_GROUP_VERIFIED)
    return said


def described(seen: Watched, answers: Mapping[str, Manifest], hand: Hand, tags: Sequence[str], *, canary: str, stable: str) -> AlbStatus:
    """Name the load balancer of an Ingress and the target groups of both sides; of several load balancers the last."""
    said = AlbStatus(ingress=seen.ref.name)
    for answer in (answers[name] for name in seen.names):
        if answer["loadBalancer"] is None:
            continue
        groups = (next(iter(_groups_of(answer, seen.ref, service, hand.port, tags)), None) for service in (canary, stable))
        of_canary, of_stable = (None if each is None else _resource(each, 1) for each in groups)
        balancer = _resource(answer["loadBalancer"], 2)
        said = AlbStatus(ingress=seen.ref.name, load_balancer=balancer, canary_target_group=of_canary, stable_target_group=of_stable)
    return said


def _differs(seen: Watched, answer: Manifest, canary: str, tags: Sequence[str]) -> str:
    """Say in what the rules of one load balancer differ from the action; nothing where they do not."""
    arns: dict[str, str] = {}
    expected: dict[str, int] = {}
    for group in seen.action.groups:
        known = [each["arn"] for each in _groups_of(answer, seen.ref, group.service, group.port, tags)]
        if not known and group.weight:
            return f"there is no target group for the Service {group.service}"
        arns |= dict.fromkeys(known, group.service)
        expected |= {group.service: group.weight} if known else {}
    single = {service for service in arns.values() if service in seen.direct or (seen.headers and service == canary)}
    split = [rule for rule in answer["rules"] if rule["targetGroups"].keys() & arns.keys()]
    whole = [rule for rule in split if not (len(rule["targetGroups"]) == 1 and arns[next(iter(rule["targetGroups"]))] in single)]
    for rule in whole:
        found = {arns.get(arn, arn): weight for arn, weight in rule["targetGroups"].items()}
        if found != expected:
            return f"rule {rule['priority']} gives {_listed(found)}"
    if not whole and not (len(expected) == 1 and split):
        return "no rule splits the traffic"
    to_canary = {arn for arn, service in arns.items() if service == canary}
    if seen.headers and not any(rule["targetGroups"].keys() <= to_canary for rule in split):
        return f"no rule sends the header routes to {canary}"
    return ""


def _groups_of(answer: Manifest, ref: Ref, service: str, port: str, tags: Sequence[str]) -> list[Mapping[str, Any]]:
    """Find the target groups that the load balancer controller made for a *port* of a Service behind the Ingress *ref*; "" is any."""
    wanted = f"{ref.namespace}/{ref.name}-{service}:{port}"

    def fits(said: str) -> bool:
        return said == wanted or (not port and said.startswith(wanted))

    return [group for group in answer["targetGroups"] if any(fits(group["tags"].get(tag, "")) for tag in tags)]


def _unknown(ref: Ref, group: Mapping[str, Any], service: str, missing: Sequence[str], count: int) -> Confirmation:
    said = f"{group['name']} knows {count - len(missing)} of {count} ready addresses of the Service {service}"
    return _not_yet(f"{ref}: {said}, and not {missing[0]}", Reason.TARGET_GROUP_UNVERIFIED)


def _unregistered(group: Mapping[str, Any], addresses: Iterable[str]) -> list[str]:
    """Name what of *addresses* is no target; of two address families a target group has one."""
    if group["targetType"] != _FORWARDED:
        return []
    there = {target["id"] for target in group["targets"] if target["state"] != _LEAVING}
    families = {":" in target for target in there} or {True, False}
    return sorted(address for address in addresses if address not in there and (":" in address) in families)


def _resource(known: Mapping[str, Any], parts: int) -> AwsResource:
    arn = str(known["arn"])
    return AwsResource(name=str(known["name"]), arn=arn, full_name="/".join(arn.split("/")[parts:]))


def hostnames(manifest: Manifest | None) -> Iterator[str]:
    """Give the DNS names of the load balancers that an Ingress has."""
    try:
        status = mapping((manifest or {}).get("status"), "status")
        listed = entries(mapping(status.get("loadBalancer"), "status.loadBalancer").get("ingress"), "status.loadBalancer.ingress")
        names = [text(each.get("hostname"), "status.loadBalancer.ingress.hostname") for each in listed]
    except SpecError:
        return
    yield from dict.fromkeys(name.lower() for name in names if name)


def _not_yet(detail: str, reason: str = "") -> Confirmation:
    return Confirmation(verified=Verification.NOT_YET, detail=detail, reason=reason)


def _listed(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{service} {weight}" for service, weight in weights.items())
