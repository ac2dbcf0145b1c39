"""Every state in which the reference is stopped here."""

from collections.abc import Mapping
from typing import Final

from takeover.basics import BASICS
from takeover.bluegreens import BLUE_GREENS
from takeover.canaries import CANARIES
from takeover.detours import DETOURS
from takeover.late import LATE
from takeover.routed import ROUTED
from takeover.states import State
from takeover.workloads import WORKLOADS

STATES: Final[Mapping[str, State]] = {**CANARIES, **DETOURS, **LATE, **BASICS, **BLUE_GREENS, **ROUTED, **WORKLOADS}
