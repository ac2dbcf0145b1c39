"""Whose is a destination of a VirtualService: the canary's, the stable side's, an experiment's, or a stranger's?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.api.rollout import IstioDestinationRule
from tiphys.traffic.manifests import annotations, mapping, text


class Side(StrEnum):
    """Whose a destination is; *STRAY* is one that the reference left without a host."""

    CANARY = "canary"
    STABLE = "stable"
    EXPERIMENT = "experiment"
    STRAY = "stray"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """
    How the destinations of one VirtualService are told apart.

    *recorded* are the experiment Services that the VirtualService's own annotation says we added, *wanted* those we are about to
    write. *rule_host* is the DestinationRule's host; empty without one.
    """

    rollout: str
    namespace: str
    canary: str
    stable: str
    rule: IstioDestinationRule | None = None
    rule_host: str = ""
    recorded: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()

    def of(self, item: Mapping[str, Any], at: str) -> Side:
        """
        Tell whose the destination *item* (with its weight), found at the path *at*, is.

        Raises:
            SpecError: it is malformed.

        """
        destination = item.get("destination")
        if not isinstance(destination, dict):
            destination = mapping(destination, f"{at}.destination")
        host, subset = destination.get("host"), destination.get("subset")
        if not isinstance(host, str):
            host = text(host, f"{at}.destination.host")
        if not isinstance(subset, str):
            subset = text(subset, f"{at}.destination.subset")
        if self.rule is not None and subset:
            return self._by_subset(self.rule, subset, host)
        if names_service(host, self.canary, self.namespace):
            return Side.CANARY
        if names_service(host, self.stable, self.namespace):
            return Side.STABLE
        if (host and not self._is_experiment(host)) or not is_bare(item, destination):
            return Side.FOREIGN
        return Side.EXPERIMENT if host else Side.STRAY

    def suspects(self, item: object) -> bool:
        """Tell cheaply whether *item* may be the canary's destination; most of a large VirtualService's cannot."""
        destination = item.get("destination") if isinstance(item, dict) else None
        if not isinstance(destination, dict):
            return False
        if self.rule is not None and destination.get("subset") == self.rule.canary_subset_name:
            return True
        host = destination.get("host")
        return isinstance(host, str) and bool(self.canary) and host.startswith(self.canary)

    def _by_subset(self, rule: IstioDestinationRule, subset: str, host: str) -> Side:
        # additionalSubsetNames needs no look: whatever is neither of the two is left alone.
        if not self._is_rule_host(host):
            return Side.FOREIGN
        if subset == rule.canary_subset_name:
            return Side.CANARY
        return Side.STABLE if subset == rule.stable_subset_name else Side.FOREIGN

    def _is_rule_host(self, host: str) -> bool:
        return not self.rule_host or self.rule_host.startswith("*") or short(host) == short(self.rule_host)

    def _is_experiment(self, host: str) -> bool:
        service = short(host)
        return service in self.wanted or service in self.recorded or _is_generated(service, self.rollout)


def recorded_experiments(virtual_service: Manifest) -> frozenset[str]:
    """
    Read which experiment Services we added to *virtual_service*.

    Raises:
        SpecError: its annotations are malformed.

    """
    written = text(annotations(virtual_service).get(ROUTED_EXPERIMENTS), f"metadata.annotations[{ROUTED_EXPERIMENTS}]")
    return frozenset(written.split(",")) if written else frozenset()


def is_bare(item: Mapping[str, Any], destination: Mapping[str, Any]) -> bool:
    """Tell whether a destination has the form in which experiments are added: a weight and a host."""
    return item.keys() <= {"destination", "weight"} and destination.keys() <= {"host"}


def short(host: str) -> str:
    """Give the text before the first dot of *host*."""
    return host.partition(".")[0]


def names_service(host: str, service: str, namespace: str) -> bool:
    """
    Tell whether *host* means the Service *service* of *namespace*.

    The text before the first dot decides (traffic-routing reference 4.1.3), unless the host is a Service's full name in some
    other namespace.
    """
    if not service or not host.startswith(service) or short(host) != service:
        return False
    rest = host.partition(".")[2]
    where, _, domain = rest.partition(".")
    return where == namespace or domain.partition(".")[0] != "svc"


def _is_generated(service: str, rollout: str) -> bool:
    """Recognise the name of an Experiment's Service: `<rollout>-<hash>-<revision>-<step>-<template>`."""
    return service.startswith(f"{rollout}-") and _GENERATED.fullmatch(service[len(rollout) + 1 :]) is not None


_GENERATED = re.compile(r"[0-9a-z]{4,10}-[0-9]+-[0-9]+-.+")
