"""How is a Rollout told to a program that asks for JSON?"""

from datetime import datetime
from typing import Any

from tiphys.api.meta import wire_time
from tiphys.cli import standing
from tiphys.cli.family import Family
from tiphys.cli.roles import actual_weight, tagged_images
from tiphys.cli.text import Cells
from tiphys.cli.tree import Row, top
from tiphys.cli.verdict import verdict


def structured(family: Family, now: datetime) -> dict[str, Any]:
    """Give what the header and the tree show of *family* at *now*; what is not there is `null`, and the names stay as they are."""
    rollout = family.rollout
    status, canary = rollout.status, rollout.spec.strategy.canary
    shown, said = standing.standing(rollout), verdict(family)
    return {
        "name": rollout.metadata.name,
        "namespace": rollout.metadata.namespace,
        "status": str(shown.phase),
        "message": shown.message,
        "strategy": standing.strategy(rollout),
        "step": None if canary is None or not canary.steps else status.current_step_index or 0,
        "steps": None if canary is None else len(canary.steps),
        "setWeight": None if canary is None else standing.set_weight(rollout),
        "actualWeight": None if canary is None else actual_weight(family),
        "verified": None if said is None else said.verified,
        "notVerifiedBecause": None if said is None or not said.detail else said.detail,
        "images": [{"image": image, "roles": list(tags)} for image, tags in tagged_images(family).items()],
        "replicas": {
            "desired": standing.desired(rollout),
            "current": status.replicas,
            "updated": status.updated_replicas,
            "ready": status.ready_replicas,
            "available": status.available_replicas,
        },
        "revisions": [_revision(row) for row in top(family, now).children],
    }


def _revision(row: Row) -> dict[str, Any]:
    _, _, number = row.name.text.partition(":")
    return {"revision": int(number), "objects": [_object(child) for child in row.children]}


def _object(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name.text,
        "status": _plain(row.status[1:]).strip(),
        "createdAt": None if row.born is None else wire_time(row.born),
        "info": [part for part in _plain(row.info).split(",") if part],
        "objects": [_object(child) for child in row.children],
    }


def _plain(found: Cells) -> str:
    return "".join(cell.text for cell in found)
