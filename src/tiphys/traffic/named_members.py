"""Whose are the members of a weighted list that names Services, and what is written for an experiment's Service?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import ROUTED_EXPERIMENTS
from tiphys.api.rollout import CanaryStrategy, Rollout
from tiphys.core.intent import Role, TrafficIntent
from tiphys.traffic.manifests import annotations, count, entries, mapping, text
from tiphys.traffic.shares import Parted, only, wished_experiments


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """
    How members are told apart.

    A member says its Service under *key*, in *namespace* unless it names another one; without a weight it has *default*. *experiments*
    are the Services of experiments: those we wrote earlier and those we are about to write.
    """

    key: str
    default: int
    namespace: str
    canary: str
    stable: str
    experiments: frozenset[str] = frozenset()

    def service(self, member: Mapping[str, Any], at: str) -> str:
        """
        Give the Service of *member*, which stands at the path *at*; the empty text where it is in another namespace.

        Raises:
            SpecError: the member is malformed.

        """
        name = text(member.get(self.key), f"{at}.{self.key}")
        if not name:
            raise SpecError(field=f"{at}.{self.key}", found=None, wanted="must name a Service")
        return name if text(member.get("namespace"), f"{at}.namespace") in {"", self.namespace} else ""


def part_named(value: object, at: str, names: Names) -> Parted:
    """
    Sort the members of the list *value*, found at the path *at*, by side.

    Raises:
        SpecError: the list is malformed, or has not exactly one member for the canary and one for the stable side.

    """
    members = entries(value, at)
    weights = tuple(_weight(member, f"{at}[{index}]", names.default) for index, member in enumerate(members))
    services = [names.service(member, f"{at}[{index}]") for index, member in enumerate(members)]
    experiments: dict[str, int] = {}
    strays: set[int] = set()
    for index, service in enumerate(services):
        ours = service in names.experiments and service not in {names.canary, names.stable}
        if ours and experiments.setdefault(service, index) != index:
            strays.add(index)
    canary = only(_indexes(services, names.canary), at, f'the canary\'s ({names.key} "{names.canary}")')
    stable = only(_indexes(services, names.stable), at, f'the stable one ({names.key} "{names.stable}")')
    known = {canary, stable, *experiments.values(), *strays}
    return Parted(
        route=members,
        at=at,
        weights=weights,
        canary=canary,
        stable=stable,
        experiments=experiments,
        strays=frozenset(strays),
        foreign=sum(weight for index, weight in enumerate(weights) if index not in known),
    )


def experiments_of(manifest: Manifest, wish: TrafficIntent | None) -> frozenset[str]:
    """
    Name the experiment Services that *manifest*'s annotation says we added, and those of *wish*.

    Raises:
        SpecError: its annotations are malformed.

    """
    written = text(annotations(manifest).get(ROUTED_EXPERIMENTS), f"metadata.annotations[{ROUTED_EXPERIMENTS}]")
    recorded = written.split(",") if written else []
    return frozenset((*recorded, *(() if wish is None else wished_experiments(wish))))


def services_by_role(wish: TrafficIntent | None, *, canary: str, stable: str) -> tuple[str, str]:
    """Give the Services of canary and stable as *wish* has them, else as given; roles that *wish* exchanges are exchanged for both."""
    wished = {} if wish is None else {backend.role: backend.service for backend in wish.backends if backend.service}
    now_stable = wished.get(Role.STABLE) or stable
    return wished.get(Role.CANARY) or (stable if now_stable == canary else canary), now_stable


def weighs_experiments(canary: CanaryStrategy) -> bool:
    """Tell whether steps of *canary* run experiments that take traffic."""
    experiments = (step.experiment for step in canary.steps if step.experiment is not None)
    return any(template.weight is not None for experiment in experiments for template in experiment.templates)


def container_ports(rollout: Rollout) -> Mapping[str, int]:
    """
    Give the ports of the pod template by name; one without a name by its number.

    The Service of an experiment has one port per container port, under that number (experiments reference, Services).
    """
    try:
        template = mapping(msgspec.json.decode(rollout.spec.template) if bytes(rollout.spec.template) else None, "spec.template")
        containers = entries(mapping(template.get("spec"), "spec.template.spec").get("containers"), "spec.template.spec.containers")
        listed = [port for container in containers for port in entries(container.get("ports"), "ports")]
    except SpecError:
        return {}  # that the template is malformed is told elsewhere
    numbers = [(port.get("name"), port.get("containerPort")) for port in listed]
    return {str(name or number): number for name, number in numbers if isinstance(number, int)}


def experiment_port(port: object, ports: Mapping[str, int], at: str) -> object:
    """
    Say under which port an experiment's Service answers what the canary's answers under *port*, which stands at the path *at*.

    *ports* are the containers'; without any, *port* itself is all that is known.

    Raises:
        SpecError: several ports could be meant.

    """
    if not ports:
        return port
    if str(port) in ports:
        return ports[str(port)]
    numbers = sorted(set(ports.values()))
    if port in numbers:
        return port
    if len(numbers) > 1:
        listed = ", ".join(map(str, numbers))
        raise SpecError(field=at, found=port, wanted=f"must be one of the containers' ports ({listed}) for an experiment to be reached")
    return numbers[0]


def _indexes(services: Sequence[str], wanted: str) -> list[int]:
    return [index for index, service in enumerate(services) if wanted and service == wanted]


def _weight(member: Mapping[str, Any], at: str, default: int) -> int:
    weight = member.get("weight")
    return default if weight is None else count(weight, f"{at}.weight")
