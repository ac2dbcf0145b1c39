"""Which indexes of an Indexed Job are done, and which are next? (pure)"""

from collections.abc import Iterable, Mapping
from typing import Any

from tiphys.devcluster.rules import Manifest

INDEX = "batch.kubernetes.io/job-completion-index"
"""Label and annotation of a pod: which part of the work is its own."""

_VARIABLE = "JOB_COMPLETION_INDEX"


def is_indexed(job: Mapping[str, Any]) -> bool:
    """Whether each pod of a Job has a part of its own."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Mapping[str, Any]) -> int:
    """Give a pod's index, -1 for none."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def read_indexes(text: str) -> set[int]:
    """Read `0,2-4` as status.completedIndexes has it."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def written(indexes: Iterable[int]) -> str:
    """Write indexes as status.completedIndexes has them: three and more in a row as an interval."""
    runs: list[list[int]] = []
    for each in sorted(indexes):
        if runs and each == runs[-1][-1] + 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def next_indexes(job: Mapping[str, Any], done: Iterable[int], active: Iterable[int], count: int) -> list[int]:
    """Give the *count* lowest indexes that are neither done nor under way."""
    taken = {*done, *active}
    return [index for index in range(job["spec"]["completions"]) if index not in taken][:count]


def indexed(pod: Manifest, job: str, index: int) -> Manifest:
    """Give the new *pod* of a Job as the one with *index*."""
    metadata, spec = pod["metadata"], pod["spec"]
    marked = {key: {**metadata.get(key, {}), INDEX: str(index)} for key in ("labels", "annotations")}
    variable = {"name": _VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}}
    lists = {key: [_with(each, variable) for each in spec[key]] for key in ("initContainers", "containers") if spec.get(key)}
    return {
        **pod,
        "metadata": {**metadata, **marked, "generateName": f"{job}-{index}-"},
        "spec": {**spec, **lists, "hostname": f"{job}-{index}"},
    }


def _with(container: Manifest, variable: Manifest) -> Manifest:
    env = container.get("env") or []
    return container if any(each.get("name") == _VARIABLE for each in env) else {**container, "env": [*env, variable]}
