"""What becomes of the workload that a Rollout takes its template from? (Lifecycle reference 8.5)"""

from dataclasses import replace

from tiphys.api import names
from tiphys.api.words import Phase
from tiphys.core.actions import ScaleWorkload, UpdateRollout
from tiphys.core.observed import Observed, Workload
from tiphys.core.revisions import Revisions

ON_SUCCESS, PROGRESSIVELY = "onsuccess", "progressively"


def note_workload(seen: Observed, note: UpdateRollout | None) -> UpdateRollout | None:
    """Let the Rollout name the generation of the workload that it acts on, as clients compare it; added to *note*, a write made anyway."""
    generation = None if seen.workload is None else str(seen.workload.generation)
    if seen.rollout.metadata.annotations.get(names.WORKLOAD_GENERATION) == generation:
        return note
    annotation = {names.WORKLOAD_GENERATION: generation}
    return UpdateRollout(annotations=annotation) if note is None else replace(note, annotations={**note.annotations, **annotation})


def observed_generation(seen: Observed) -> str:
    """Give `status.workloadObservedGeneration`: of the workload that this pass acts on."""
    return "" if seen.workload is None else str(seen.workload.generation)


def gives_up_pods(workload: Workload) -> bool:
    """Tell whether pods of the Rollout take the place of those of *workload*."""
    return workload.replicas is not None and workload.scale_down in {ON_SUCCESS, PROGRESSIVELY}


def scale_workload(seen: Observed, revisions: Revisions, *, phase: str, replicas: int) -> ScaleWorkload | None:
    """
    Take away pods of a Deployment that the Rollout's own pods replace.

    `onsuccess` takes all of them once the Rollout is healthy, and again if somebody brings them back; `progressively` also one for each
    of the first version's pods that is ready, before there is a stable version. `never`, the default, takes none.
    """
    workload = seen.workload
    if workload is None or workload.replicas is None or not gives_up_pods(workload):
        return None
    wanted = workload.replicas
    if phase == Phase.HEALTHY:
        wanted = 0
    elif workload.scale_down == PROGRESSIVELY and not revisions.stable_hash:
        ready = sum(rs.status.ready_replicas for rs in revisions.all)
        wanted = max(0, replicas - ready) if ready else wanted
    if wanted == workload.replicas:
        return None
    return ScaleWorkload(
        kind=workload.kind, name=workload.name, before=workload.replicas, replicas=wanted, resource_version=workload.resource_version
    )
