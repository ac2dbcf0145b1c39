"""
What do the annotations `actions.NAME` and `conditions.NAME` of an Ingress say? (pure)

Their JSON is read without regard to the case of keys; a port may be a number, a number as text, or a name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiphys.devcluster.proxies.builder import Json

_PREFIX = "alb.ingress.kubernetes.io/"
_MOST_GROUPS, _MOST_WEIGHT = 5, 999


class ActionError(Exception):
    """There is nothing to send requests to: the load balancer answers by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGroup:
    """A Service's port and its relative weight."""

    service: str
    port: int | str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Forward to *groups* by weight, or give the *fixed* answer."""

    groups: Sequence[TargetGroup] = ()
    fixed: Json | None = None
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Annotations:
    """The annotations of one Ingress."""

    written: Mapping[str, str]

    def action(self, name: str) -> Action:
        """
        Read `actions.NAME`.

        Raises: ActionError when it is not there or sends nobody anything, ValueError when it is malformed.
        """
        text = self.written.get(f"{_PREFIX}actions.{name}")
        if text is None:
            raise ActionError(f"actions.{name}: there is no such annotation")
        where, said = f"actions.{name}", _read(f"actions.{name}", text)
        if not isinstance(said, dict):
            raise ValueError(f"{where}: found {text!r}, wanted an object")  # noqa: TRY004 - a user's mistake, not a type of ours
        match said.get("type"):
            case "forward":
                return _forward(where, said)
            case "fixed-response":
                answer = said.get("fixedresponseconfig") or {}
                fixed: Json = {"status": int(answer.get("statuscode") or 503)}
                return Action(fixed=fixed | ({"body": {"inline_string": answer["messagebody"]}} if answer.get("messagebody") else {}))
            case other:
                raise ValueError(f"{where}: type: found {other!r}, wanted forward or fixed-response (others are not emulated)")

    def conditions(self, name: str) -> list[Mapping[str, Any]]:
        """
        Read `conditions.NAME`; none if it is not there.

        Raises: ValueError when it is malformed.
        """
        text = self.written.get(f"{_PREFIX}conditions.{name}")
        said = _read(f"conditions.{name}", text) if text else []
        if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
            raise ValueError(f"conditions.{name}: found {text!r}, wanted a list of objects")
        return said


def _read(where: str, text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return _lowered(json.loads(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: no valid JSON: {error}") from error


def _lowered(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {str(key).lower(): _lowered(each) for key, each in value.items()}
    return [_lowered(each) for each in value] if isinstance(value, list) else value


def _forward(where: str, said: Mapping[str, Any]) -> Action:
    config = said.get("forwardconfig") or {}
    listed = config.get("targetgroups") or []
    if not 1 <= len(listed) <= _MOST_GROUPS:
        raise ValueError(f"{where}: targetGroups: found {len(listed)}, wanted 1 to {_MOST_GROUPS}")
    groups = tuple(_group(where, each) for each in listed)
    if not any(group.weight for group in groups):
        raise ActionError(f"{where}: all weights are 0")
    return Action(groups=groups, sticky=bool((config.get("targetgroupstickinessconfig") or {}).get("enabled")))


def _group(where: str, said: Mapping[str, Any]) -> TargetGroup:
    service, port, weight = said.get("servicename"), said.get("serviceport"), said.get("weight", 1)
    if not service or port in (None, ""):
        raise ValueError(f"{where}: a target group wants serviceName and servicePort (others are not emulated)")
    if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= _MOST_WEIGHT:
        raise ValueError(f"{where}: weight: found {weight!r}, wanted 0 to {_MOST_WEIGHT}")
    return TargetGroup(service=str(service), port=int(port) if str(port).isdecimal() else str(port), weight=weight)
