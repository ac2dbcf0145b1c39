"""Which Rollouts manage annotations of an Ingress, and what is it without one of them? (Reference 4.2.8, 8.3)"""

from collections.abc import Collection, Mapping, Sequence

from tiphys.api.errors import SpecError
from tiphys.api.meta import Manifest
from tiphys.api.names import MANAGED_ALB_ACTIONS, MANAGED_ALB_ANNOTATIONS
from tiphys.traffic.alb_annotations import ACTION, Action, Group, action_text, conditional, managed_text, name_of, read_action, read_managed
from tiphys.traffic.alb_ingress import with_annotations
from tiphys.traffic.alb_paths import rules_of, with_paths
from tiphys.traffic.manifests import annotations

_EVERYTHING = 100


def marked_for(found: Manifest) -> Collection[str]:
    """Name the Rollouts that manage annotations of the Ingress *found*; nobody where that cannot be read."""
    try:
        return list(read_managed(annotations(found)))
    except SpecError:
        return ()


def selections(found: Manifest) -> Sequence[Mapping[str, str]]:  # noqa: ARG001  no Ingress does
    """Give the labels by which an Ingress selects pods: none."""
    return ()


def released(found: Manifest, rollout: str, kept: Collection[str]) -> Manifest:  # noqa: ARG001  there are no hashes in it
    """
    Give the Ingress *found* as it is without *rollout*: its actions lead to one Service, its header routes and their paths are gone.

    An action stays, because paths of the user's lead to it.

    Raises:
        SpecError: a part is malformed.

    """
    there = annotations(found)
    managed = read_managed(there)
    listed = managed.pop(rollout, [])
    headers = conditional(listed)
    gone = {key for key in listed if name_of(key) in headers} | {MANAGED_ALB_ANNOTATIONS, MANAGED_ALB_ACTIONS}
    told = {key: text for key, text in there.items() if key not in gone}
    told |= {key: _at_rest(name_of(key), told[key]) for key in listed if key in told and ACTION in key}
    others = managed_text(managed)
    told |= {MANAGED_ALB_ANNOTATIONS: others} if others else {}
    rules = rules_of(found)
    return with_annotations(found, told, rules, with_paths(rules, "", (), headers))


def _at_rest(name: str, text: object) -> object:
    """Let an action lead to one Service; one that forwards to none stays as it is."""
    action = read_action(text)
    if action is None:
        return text
    chosen = _chosen(name, action)
    group = Group(service=chosen.service, port=chosen.port, weight=_EVERYTHING)
    return action_text(Action(groups=(group,), sticky=action.sticky))


def _chosen(name: str, action: Action) -> Group:
    """
    Choose the Service that everything goes to, now that no Rollout says which one is stable.

    The one that carries everything already: nobody gets what nobody proved that they can carry. Else the one that the action is named
    after, which is the stable one; else the last, where the stable one is written.
    """
    carrying = [group for group in action.groups if group.weight]
    named = [group for group in action.groups if group.service == name]
    return carrying[0] if len(carrying) == 1 else (named or action.groups)[-1]
