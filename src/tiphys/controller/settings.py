"""What may the operator of a controller choose?"""

from dataclasses import dataclass, field

from tiphys.kube.config import Overrides
from tiphys.kube.lease import Durations
from tiphys.plugins.partner import Partner
from tiphys.traffic.settings import Settings as RouterSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The choices, with the defaults that users know (user-interfaces reference 3.1).

    *namespace* limits what is watched; nothing means all namespaces. *lease_namespace* is where the lease lies; nothing means the
    namespace of the connection. *metrics_port* and *health_port* are TCP ports on *host*: 0 takes a free one, nothing serves nothing.
    *resync* and *verify_interval*, between two questions about the same traffic, are in seconds. *probes* allows Rollouts to name a
    URL that the controller then asks. *partners* are the routers in other processes.
    """

    connection: Overrides = field(default_factory=Overrides)
    namespace: str | None = None
    instance_id: str = ""
    workers: int = 10
    resync: float = 900.0
    verify_interval: float = 10.0
    probes: bool = True
    leader_elect: bool = True
    lease_namespace: str | None = None
    lease: Durations = field(default_factory=Durations)
    host: str = "127.0.0.1"
    metrics_port: int | None = 8090
    health_port: int | None = 8080
    log_level: str = "info"
    log_format: str = "text"
    routers: RouterSettings = field(default_factory=RouterSettings)
    partners: tuple[Partner, ...] = ()

    @property
    def lease_name(self) -> str:
        """The lease that controllers of the same instance share with each other, and with the reference controller."""
        return "argo-rollouts-controller-lock" + (f"-{self.instance_id}" if self.instance_id else "")
