"""Who can be asked what the traffic really does?"""

from collections.abc import Mapping
from typing import Final

from tiphys.controller.desk import Asker
from tiphys.controller.elbv2 import LoadBalancers
from tiphys.controller.prober import Prober
from tiphys.kube.clock import Clock
from tiphys.traffic.probe import VIA as PROBE

ELBV2: Final = "elbv2"
"""The API of AWS load balancers; the request holds the `hostname`, the answer is described in `tiphys.controller.elbv2`."""


def askers_for(clock: Clock) -> Mapping[str, Asker]:
    """Give everyone who can be asked, by the `via` of a question."""
    return {ELBV2: LoadBalancers(clock), PROBE: Prober(clock)}
