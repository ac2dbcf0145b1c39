"""What does the page on GitOps tell tools to leave alone, and what does a tool that follows it do?"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jq
import yaml

from terminal import REPOSITORY
from tiphys.api.meta import Manifest

PAGE: Final = REPOSITORY / "docs" / "gitops.md"
EVERY: Final = "Every Rollout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry of `ignoreDifferences`."""

    group: str
    kind: str
    pointers: tuple[str, ...]
    expressions: tuple[str, ...]

    def is_about(self, manifest: Manifest) -> bool:
        group, _, _ = str(manifest["apiVersion"]).rpartition("/")
        return (self.group, self.kind) == (group, manifest["kind"])

    def without(self, manifest: Manifest) -> Manifest:
        """Give *manifest* without the fields that are ignored, as Argo CD compares it."""
        for pointer in self.pointers:
            manifest = _without(manifest, [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]])
        for expression in self.expressions:
            manifest = _deleting(expression).input_value(manifest).first()
        return manifest


def rules(product: str, *, texts: Mapping[str, str] | None = None, **names: Sequence[str]) -> list[Rule]:
    """
    Give the rules of the page for the router *product*, or for every Rollout where that is the empty text.

    *names* stand for those of the page: `stable` and `canary` for its Services, `managed` for its routes, `experiments` for their Services;
    *texts* for any others.
    """
    found = [
        block for title, text in _sections() if _is_of(product, title, text) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    ]
    return [_rule(entry) for block in found for entry in yaml.safe_load(_renamed(block, names, texts or {}))["ignoreDifferences"]]


def sections() -> set[str]:
    """Name the products that have a section."""
    return {name for _, text in _sections() for name in re.findall(r"^`trafficRouting\.(\w+)`", text, re.MULTILINE)}


def stripped(manifest: Manifest, known: Iterable[Rule]) -> Manifest:
    """Give *manifest* without everything that *known* ignores; maps that are empty by then go, too."""
    for rule in known:
        if rule.is_about(manifest):
            manifest = rule.without(manifest)
    return {**manifest, "metadata": {key: value for key, value in manifest["metadata"].items() if value != {}}}


@cache
def _deleting(expression: str) -> Any:  # noqa: ANN401 - a compiled program
    return jq.compile(f"del({expression})")


@cache
def _sections() -> list[tuple[str, str]]:
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _is_of(product: str, title: str, text: str) -> bool:
    return f"`trafficRouting.{product}`" in text if product else title == EVERY


def _renamed(block: str, names: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> str:
    """Write the names of a test where the page has those of its example."""
    for old, new in texts.items():
        block = block.replace(old, new)
    for old, key in (('"parcel-stable"', "stable"), ('"parcel-canary"', "canary"), ('"beta", "shadow"', "managed")):
        if key in names:
            block = block.replace(old, _listed(names[key]))
    if "managed" in names:
        block = block.replace("(beta|shadow)", f"({'|'.join(names['managed'])})")
    if "experiments" in names:
        block = block.replace('== "parcel-experiment"', f"| IN({_listed(names['experiments'])})")
    return block


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _rule(entry: Mapping[str, Any]) -> Rule:
    assert entry.keys() <= {"group", "kind", "jsonPointers", "jqPathExpressions"}, entry
    return Rule(
        group=entry.get("group", ""),
        kind=entry["kind"],
        pointers=tuple(entry.get("jsonPointers", ())),
        expressions=tuple(entry.get("jqPathExpressions", ())),
    )


def _without(value: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict) or path[0] not in value:
        return value
    key, *rest = path
    if not rest:
        return {name: part for name, part in value.items() if name != key}
    return {**value, key: _without(value[key], rest)}
