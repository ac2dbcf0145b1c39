"""
Replays what 1.20 answered, compared with what 1.36 would have answered instead, as far as that is known.

    python replay_older.py REPLAY_CHECK URL [options of REPLAY_CHECK]

docs/devcluster-differences.md has the same list in words. Everything else is compared as REPLAY_CHECK does it.
"""

import importlib.util
import json
import re
import sys
from types import ModuleType
from typing import Any

# What 1.20 said or was asked, and 1.36 says or is asked. The texts are JSON.
WORDS = (
    # kinds that have left their beta
    (r"(discovery|policy|events)\.k8s\.io/v1beta1", r"\1.k8s.io/v1"),
    (r"policy/v1beta1", "policy/v1"),
    (r'"topology": \{"kubernetes\.io/hostname": ("[^"]*")\}', r'"nodeName": \1'),
    # a decoder that was replaced: it named the field and the place, too, and had other words for wrong types
    (
        r"(cannot be handled as an? \w+: )v1\.[\w:.\[\] ]*?unmarshalerDecoder: ((?:[^\"\\]|\\.)*?), error found in #(?:[^\"\\]|\\.)*",
        r"\1\2",
    ),
    (r"(cannot be handled as an? \w+: )v1\.(?:[^\"\\]|\\.)*?error found in #(?:[^\"\\]|\\.)*", r"\1$any"),
    # words that 1.36 was recorded with for custom resources
    (r"(uid|name|kind|apiVersion) must not be empty", "must not be empty"),
    (r"Invalid value: 0x0: must be specified for an update", "Invalid value: 0: must be specified for an update"),
    # CVE-2021-25737: loopback is refused in EndpointSlices, too; and IPv6 is named
    (r'"addresses": \["127\.0\.0\.2"\]', '"addresses": ["10.1.2.9"]'),
    (r"loopback range \(127\.0\.0\.0/8\)", "loopback range (127.0.0.0/8, ::1/128)"),
    # the hash of a pod template is of what 1.20's Go structures print: any will do, if it is the same everywhere
    (r"6f9dc766cc", "$hash9"),
)
WHOLE = ("f:selector", "f:regarding", "f:involvedObject", "f:fieldRef", "f:resourceFieldRef", "f:secretKeyRef", "f:configMapKeyRef")
OWN_LABEL = "kubernetes.io/metadata.name"  # of every namespace, since 1.21


def as_later(scenario: Any, pairs: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - JSON
    """Say a recorded scenario in the words of 1.36."""
    text = json.dumps(scenario)
    for old, new in pairs:
        text = text.replace(old, new)
    for pattern, new in WORDS:
        text = re.sub(pattern, new, text)
    return json.loads(text)


def folded(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out of an answer, recorded or real, what only one of the versions notes."""
    if isinstance(value, list):
        return [folded(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: folded(item) for key, item in value.items()}
    if isinstance(out.get("managedFields"), list):
        out["managedFields"] = without_subresources(out["managedFields"])
        if not out["managedFields"]:
            del out["managedFields"]
    if out.get("kind") == "Namespace":
        as_of_1_21(out.get("metadata") or {})
    return out


def as_of_1_21(metadata: dict[str, Any]) -> None:
    """Leave out the label that every namespace has since, and whose its first status was before."""
    for entry in metadata.get("managedFields", ()):
        entry["fieldsV1"].pop("f:status", None)
    metadata["managedFields"] = [entry for entry in metadata.get("managedFields", ()) if entry["fieldsV1"]]
    metadata.get("labels", {}).pop(OWN_LABEL, None)
    if metadata.get("labels") == {}:
        del metadata["labels"]


def without_subresources(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one entry of those that differ in the subresource only."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in entries:
        key = tuple(entry.get(part, "") for part in ("manager", "operation", "apiVersion"))
        kept = {part: item for part, item in entry.items() if part not in ("subresource", "fieldsV1")}
        custom = "." in entry["apiVersion"] and "k8s.io" not in entry["apiVersion"]
        fields = comparable(entry["fieldsV1"])
        if not custom:  # who scaled a built-in kind was not noted
            without_size(fields)
        kept["fieldsV1"] = together(found[key]["fieldsV1"], fields) if key in found else fields
        found[key] = {**found.get(key, {}), **kept}
    return [entry for entry in found.values() if entry["fieldsV1"]]


def without_size(fields: dict[str, Any]) -> None:
    if fields.get("f:spec", {}).pop("f:replicas", None) is not None and not fields["f:spec"]:
        del fields["f:spec"]


def comparable(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what one of the versions owns in parts and the other as a whole, or not at all."""
    out = {}
    for step, below in fields.items():
        whole = step.startswith('k:{"uid"') or step in WHOLE
        found = {} if whole else comparable(below)
        if step == f"f:{OWN_LABEL}" or (below and not found and not whole) or (step == "f:labels" and found == {".": {}}):
            continue
        out[step] = found
    return out


def together(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    return {step: together(one.get(step, {}), two.get(step, {})) for step in {**one, **two}}


def adapt(replay: ModuleType) -> None:
    """Let the program that replays compare with 1.36."""
    canonical, warnings_of = replay.canonical, replay.warnings_of
    replay.rewritten = as_later  # type: ignore[attr-defined]
    replay.canonical = lambda value: canonical(folded(value))  # type: ignore[attr-defined]
    # 1.20 dropped unknown fields without a word
    replay.warnings_of = lambda answer: [each for each in warnings_of(answer) if "unknown field" not in each]  # type: ignore[attr-defined]


def main() -> None:
    spec = importlib.util.spec_from_file_location("replay_check", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    adapt(replay)
    del sys.argv[1]
    sys.exit(replay.main())


if __name__ == "__main__":
    main()
