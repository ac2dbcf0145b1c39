"""Which sign and which colour stand for a status?"""

from collections.abc import Mapping
from typing import Final

from tiphys.cli.text import Cell, Colour

ROLLOUT: Final = "⟳"
REVISION: Final = "#"
REPLICA_SET: Final = "⧉"
POD: Final = "□"
EXPERIMENT: Final = "Σ"
ANALYSIS_RUN: Final = "α"  # noqa: RUF001 - the sign people know
JOB: Final = "⊞"

GOOD: Final = "✔"
BAD: Final = "✖"
MOVING: Final = "◌"
PAUSED: Final = "॥"
RESTING: Final = "•"
WARNING: Final = "⚠"
UNSURE: Final = "?"
PENDING: Final = "◷"
NONE: Final = " "

_COLOURS: Final[Mapping[str, Colour]] = {
    GOOD: Colour.GREEN,
    BAD: Colour.RED,
    WARNING: Colour.RED,
    MOVING: Colour.BRIGHT_BLUE,
    UNSURE: Colour.YELLOW,
    PENDING: Colour.YELLOW,
}

_STATUS: Final[Mapping[str, str]] = {
    "Healthy": GOOD,
    "Successful": GOOD,
    "Degraded": BAD,
    "Failed": BAD,
    "ReplicaFailure": BAD,
    "Progressing": MOVING,
    "Running": MOVING,
    "Paused": PAUSED,
    "ScaledDown": RESTING,
    "Error": WARNING,
    "InvalidSpec": WARNING,
    "Unknown": UNSURE,
    "Inconclusive": UNSURE,
    "Pending": PENDING,
}

_POD_STATUS: Final[Mapping[str, str]] = {
    "Running": GOOD,
    "Completed": GOOD,
    "Succeeded": GOOD,
    "Failed": BAD,
    "CrashLoopBackOff": BAD,
    "InvalidImageName": BAD,
    "Pending": MOVING,
    "ContainerCreating": MOVING,
    "PodInitializing": MOVING,
    "Terminating": MOVING,
    "ImagePullBackOff": WARNING,
    "RegistryUnavailable": WARNING,
    "Unknown": UNSURE,
}

_NAMES: Final[Mapping[str, Colour]] = {
    "Inconclusive": Colour.YELLOW,
    "Running": Colour.BRIGHT_BLUE,
    "Pending": Colour.BRIGHT_BLUE,
    "Failed": Colour.RED,
    "Error": Colour.RED,
    "Successful": Colour.GREEN,
}

_TAGS: Final[Mapping[str, Colour]] = {
    "canary": Colour.YELLOW,
    "preview": Colour.BRIGHT_BLUE,
    "ping": Colour.BRIGHT_BLUE,
    "pong": Colour.BRIGHT_BLUE,
    "stable": Colour.GREEN,
    "active": Colour.GREEN,
}


def coloured(icon: str) -> Cell:
    """Paint a status icon."""
    return Cell(icon, _COLOURS.get(icon, Colour.NONE))


def status_icon(status: str) -> str:
    """Give the sign for the status of anything but a pod."""
    return _STATUS.get(status, NONE)


def pod_icon(status: str) -> str:
    """Give the sign for a pod's status, which is an open set of words."""
    if status.startswith("Init:"):
        return MOVING
    if status.startswith(("Signal:", "ExitCode:")):
        return BAD
    if status.endswith("Error") or status.startswith("Err"):
        return WARNING
    return _POD_STATUS.get(status, NONE)


def name_by_status(name: str, status: str) -> Cell:
    """Paint the name of an analysis, an experiment or a job by how it went."""
    return Cell(name, _NAMES.get(status, Colour.NONE))


def tag(text: str) -> Cell:
    """Paint the role of a ReplicaSet or an image."""
    return Cell(text, _TAGS.get(text, Colour.NONE))
