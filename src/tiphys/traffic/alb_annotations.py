"""How do annotations of the AWS Load Balancer Controller say where the requests of a name go? (Reference 4.2.2, 4.2.3.)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.names import MANAGED_ALB_ANNOTATIONS
from tiphys.traffic.manifests import text

PREFIX: Final = "alb.ingress.kubernetes.io"
ACTION: Final = "/actions."
CONDITIONS: Final = "/conditions."

_MANAGED_AT: Final = f"metadata.annotations[{MANAGED_ALB_ANNOTATIONS}]"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """A target group: a Service's port, and its relative weight."""

    service: str
    port: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Forward to *groups* by weight; clients stay with the one they met for *sticky* seconds, 0 for not at all."""

    groups: tuple[Group, ...]
    sticky: int = 0


def action_text(action: Action) -> str:
    """Write *action* as the reference does: its order of keys, compact, nothing left out."""
    forward: dict[str, Any] = {
        "TargetGroups": [{"ServiceName": group.service, "ServicePort": group.port, "Weight": group.weight} for group in action.groups]
    }
    if action.sticky:
        forward["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": action.sticky}
    return _compact({"Type": "forward", "ForwardConfig": forward})


def unless_said(action: Action, text: object) -> str:
    """
    Write *action*, or leave *text* as it is where that gives everything to the same one of the same Services, in another order.

    So roles that are exchanged write nothing. While Services share, the stable one stands last, because that may be all that tells it.
    """
    said = read_action(text)
    whole = said is not None and sum(1 for group in said.groups if group.weight) == 1 and action_text(said) == text
    if whole and said is not None and (said.sticky, sorted(said.groups)) == (action.sticky, sorted(action.groups)):
        return str(text)
    return action_text(action)


def read_action(value: object) -> Action | None:
    """
    Read an action, whoever wrote it; nothing where it is none that forwards to Services.

    The load balancer controller reads keys without regard to case, and a weight that is missing as 1.
    """
    said = _lowered(_decoded(value))
    if not isinstance(said, dict) or said.get("type") != "forward" or not isinstance(config := said.get("forwardconfig"), dict):
        return None
    listed = config.get("targetgroups")
    groups = [_group(each) for each in listed] if isinstance(listed, list) else []
    read = tuple(group for group in groups if group is not None)
    sticky = config.get("targetgroupstickinessconfig")
    seconds = sticky.get("durationseconds") if isinstance(sticky, dict) and sticky.get("enabled") is True else 0
    if not read or len(read) != len(groups):
        return None
    return Action(groups=read, sticky=seconds if isinstance(seconds, int) else 0)


def conditions_text(conditions: Sequence[Mapping[str, Any]]) -> str:
    """Write *conditions* as the reference does."""
    return _compact(conditions)


def read_conditions(value: object) -> list[Mapping[str, Any]] | None:
    """Read conditions; no text means none, and nothing comes of what is no list of maps."""
    if value is None or value == "":
        return []
    said = _decoded(value)
    return said if isinstance(said, list) and all(isinstance(each, dict) for each in said) else None


def read_managed(annotations: Mapping[str, Any]) -> dict[str, list[str]]:
    """
    Say which Rollout manages which annotations of an Ingress.

    Raises:
        SpecError: the annotation that tells is malformed; rewriting it would make other Rollouts lose theirs.

    """
    written = text(annotations.get(MANAGED_ALB_ANNOTATIONS), _MANAGED_AT)
    if not written:
        return {}
    try:
        read = msgspec.json.decode(written, type=dict[str, list[str] | None])
    except (msgspec.MsgspecError, RecursionError) as error:
        wanted = "must be a JSON map of Rollouts to lists of annotation keys"
        raise SpecError(field=_MANAGED_AT, found=written[:_SHOWN], wanted=wanted) from error
    return {rollout: keys or [] for rollout, keys in read.items()}


def managed_text(managed: Mapping[str, Sequence[str]]) -> str:
    """Write down which Rollout manages which annotations; nothing for nobody."""
    kept = {rollout: list(keys) for rollout, keys in sorted(managed.items()) if keys}
    return _compact(kept) if kept else ""


def name_of(key: str) -> str:
    """Give the name whose action or conditions stand under *key*, whatever the prefix."""
    for part in (ACTION, CONDITIONS):
        if part in key:
            return key.partition(part)[2]
    return ""


def conditional(keys: Iterable[str]) -> frozenset[str]:
    """Name what among *keys* has conditions: the header routes."""
    return frozenset(name_of(key) for key in keys if CONDITIONS in key)


def _group(said: object) -> Group | None:
    if not isinstance(said, dict):
        return None
    service, port, weight = said.get("servicename"), said.get("serviceport"), said.get("weight", 1)
    if not isinstance(service, str) or isinstance(port, bool) or not isinstance(port, str | int):
        return None
    if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
        return None
    return Group(service=service, port=str(port), weight=weight)


def _decoded(value: object) -> Any:  # noqa: ANN401  any JSON value
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else None
    except (msgspec.MsgspecError, RecursionError):
        return None


def _lowered(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        return {str(key).lower(): _lowered(each) for key, each in value.items()}
    return [_lowered(each) for each in value] if isinstance(value, list) else value


def _compact(value: object) -> str:
    return msgspec.json.encode(value).decode()


_SHOWN: Final = 60
