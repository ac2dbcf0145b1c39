"""How is a Rollout drawn with everything that belongs to it? (User interfaces 1.6.)"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from tiphys.api import names
from tiphys.api.analysis import AnalysisRun, AnalysisRunStatus
from tiphys.api.experiment import Experiment
from tiphys.api.workloads import ReplicaSet
from tiphys.cli import icons, standing
from tiphys.cli.family import Family, Object, ShownPod, owned
from tiphys.cli.pods import pod_status, ready_count, restarts
from tiphys.cli.roles import actual_weight, delay, replica_set_status, roles, tagged_images
from tiphys.cli.text import Cell, Cells, age, cells, painted, table
from tiphys.cli.verdict import verdict

_KEY_WIDTH: Final = 17
_HEADINGS: Final = ("NAME", "KIND", "STATUS", "AGE", "INFO")
_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the tree and what hangs below it."""

    icon: str
    name: Cell
    kind: str = ""
    status: Cells = (Cell(icons.NONE),)
    born: datetime | None = None
    info: Cells = ()
    children: Sequence["Row"] = ()


def tree(family: Family, now: datetime, *, colour: bool = False) -> str:
    """Draw the header and the tree of *family* as seen at *now*."""
    rows = [tuple(cells(heading) for heading in _HEADINGS), *_lines(top(family, now), now, own="", below="")]
    return f"{_header(family, colour=colour)}\n{table(rows, colour=colour)}"


# The header


def _header(family: Family, *, colour: bool) -> str:
    rollout = family.rollout
    status, canary = rollout.status, rollout.spec.strategy.canary
    shown = standing.standing(rollout)
    lines: list[tuple[str, Cells]] = [
        ("Name:", cells(rollout.metadata.name)),
        ("Namespace:", cells(rollout.metadata.namespace)),
        ("Status:", _status(icons.status_icon(shown.phase), shown.phase)),
        *([("Message:", cells(shown.message))] if shown.message else []),
        ("Strategy:", cells(standing.strategy(rollout))),
    ]
    if canary is not None:
        lines += [
            ("  Step:", cells(standing.step_text(rollout))),
            ("  SetWeight:", cells(str(standing.set_weight(rollout)))),
            ("  ActualWeight:", cells(str(actual_weight(family)))),
        ]
    said = verdict(family)
    if said is not None:
        lines.append(("  Verified:", cells(str(said))))
    tagged = [_image(image, tags) for image, tags in tagged_images(family).items()]
    lines += [("" if position else "Images:", line) for position, line in enumerate(tagged)]
    counts = (
        ("Desired", standing.desired(rollout)),
        ("Current", status.replicas),
        ("Updated", status.updated_replicas),
        ("Ready", status.ready_replicas),
        ("Available", status.available_replicas),
    )
    lines += [("Replicas:", ()), *((f"  {name}:", cells(str(count))) for name, count in counts)]
    return "".join(f"{key.ljust(_KEY_WIDTH) if line else key}{painted(line, colour=colour)}\n" for key, line in lines)


def _image(image: str, tags: Sequence[str]) -> Cells:
    return cells(image, " (", *_joined([(icons.tag(text),) for text in tags], ", "), ")") if tags else cells(image)


# The rows


def top(family: Family, now: datetime) -> Row:
    """Give the line of the Rollout and everything below it."""
    rollout = family.rollout
    shown = standing.standing(rollout)
    return Row(
        icon=icons.ROLLOUT,
        name=Cell(rollout.metadata.name),
        kind="Rollout",
        status=_status(icons.status_icon(shown.phase), shown.phase),
        born=rollout.metadata.creation_timestamp,
        children=_revisions(family, now),
    )


def _revisions(family: Family, now: datetime) -> list[Row]:
    replica_sets = sorted(owned(family.replica_sets, family.rollout), key=lambda found: found.metadata.name)
    experiments = sorted(owned(family.experiments, family.rollout), key=_oldest)
    runs = _runs_in_order(owned(family.analysis_runs, family.rollout))
    numbers = {_revision(found) for found in chain[Object](replica_sets, experiments, runs)}
    return [
        Row(
            icon=icons.REVISION,
            name=Cell(f"revision:{number}"),
            children=[
                *(
                    _replica_set(found, family, roles=[*roles(family.rollout, found), *delay(found, now)])
                    for found in replica_sets
                    if _revision(found) == number
                ),
                *(_experiment(found, family, now) for found in experiments if _revision(found) == number),
                *(_run(found) for found in runs if _revision(found) == number),
            ],
        )
        for number in sorted(numbers, reverse=True)
    ]


def _replica_set(replica_set: ReplicaSet, family: Family, *, roles: Sequence[str]) -> Row:
    status = replica_set_status(replica_set)
    pods = sorted(owned(family.pods, replica_set), key=lambda pod: (_born(pod), pod.metadata.name))
    return Row(
        icon=icons.REPLICA_SET,
        name=Cell(replica_set.metadata.name),
        kind="ReplicaSet",
        status=_status(icons.status_icon(status), status),
        born=replica_set.metadata.creation_timestamp,
        info=_joined([(icons.tag(role),) for role in roles]),
        children=[_pod(pod) for pod in pods],
    )


def _pod(pod: ShownPod) -> Row:
    status, again = pod_status(pod), restarts(pod)
    ready, containers = ready_count(pod)
    info = f"ready:{ready}/{containers}" + (f",restarts:{again}" if again else "")
    return Row(
        icon=icons.POD,
        name=Cell(pod.metadata.name),
        kind="Pod",
        status=_status(icons.pod_icon(status), status),
        born=pod.metadata.creation_timestamp,
        info=cells(info),
    )


def _experiment(experiment: Experiment, family: Family, now: datetime) -> Row:
    phase = experiment.status.phase
    replica_sets = sorted(owned(family.replica_sets, experiment), key=lambda found: (-_revision(found), found.metadata.name))
    return Row(
        icon=icons.EXPERIMENT,
        name=icons.name_by_status(experiment.metadata.name, phase),
        kind="Experiment",
        status=_status(icons.status_icon(phase), phase),
        born=experiment.metadata.creation_timestamp,
        children=[
            *(_replica_set(found, family, roles=delay(found, now)) for found in replica_sets),
            *(_run(found) for found in _runs_in_order(owned(family.analysis_runs, experiment))),
        ],
    )


def _run(run: AnalysisRun) -> Row:
    status = run.status or AnalysisRunStatus()
    phase, results = status.phase, status.metric_results
    counts = (
        (icons.GOOD, sum(result.successful for result in results)),
        (icons.BAD, sum(result.failed for result in results)),
        (icons.UNSURE, sum(result.inconclusive for result in results)),
        (icons.WARNING, sum(result.error for result in results)),
    )
    return Row(
        icon=icons.ANALYSIS_RUN,
        name=icons.name_by_status(run.metadata.name, phase),
        kind="AnalysisRun",
        status=_status(icons.status_icon(phase), phase),
        born=run.metadata.creation_timestamp,
        info=_joined([(icons.coloured(icon), Cell(f" {count}")) for icon, count in counts if count]),
        children=_jobs(run),
    )


def _jobs(run: AnalysisRun) -> list[Row]:
    measured = chain.from_iterable(result.measurements for result in (run.status or AnalysisRunStatus()).metric_results)
    return [
        Row(
            icon=icons.JOB,
            name=icons.name_by_status(measurement.metadata["job-name"], measurement.phase),
            kind="Job",
            status=_status(icons.status_icon(measurement.phase), measurement.phase),
            born=measurement.started_at,
        )
        for measurement in measured
        if "job-name" in measurement.metadata
    ]


# Order and layout


def _runs_in_order(runs: Iterable[AnalysisRun]) -> list[AnalysisRun]:
    """Sort by revision (high first), then age (old first), then name (last first)."""
    by_name = sorted(runs, key=lambda run: run.metadata.name, reverse=True)
    return sorted(by_name, key=lambda run: (-_revision(run), _born(run)))


def _oldest(experiment: Experiment) -> tuple[datetime, str]:
    return (_born(experiment), experiment.metadata.name)


def _born(found: Object) -> datetime:
    return found.metadata.creation_timestamp or _LONG_AGO


def _revision(found: Object) -> int:
    return names.revision(found.metadata.annotations)


def _status(icon: str, status: str) -> Cells:
    return cells(icons.coloured(icon), f" {status}")


def _joined(parts: Sequence[Cells], comma: str = ",") -> Cells:
    """Put a comma between *parts*."""
    return tuple(chain.from_iterable((Cell(comma), *part) for part in parts))[1:]


def _lines(row: Row, now: datetime, *, own: str, below: str) -> list[tuple[Cells, ...]]:
    """Lay *row* out, its own line behind the prefix *own*, those under it behind *below*."""
    since = age(row.born, now) if row.kind else ""
    lines: list[tuple[Cells, ...]] = [(cells(f"{own}{row.icon} ", row.name), cells(row.kind), row.status, cells(since), row.info)]
    for position, child in enumerate(row.children):
        last = position == len(row.children) - 1
        lines += _lines(child, now, own=below + ("└──" if last else "├──"), below=below + ("   " if last else "│  "))
    return lines
