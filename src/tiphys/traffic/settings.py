"""What may the operator choose about routers, for all Rollouts?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Choices that no Rollout has a field for.

    *istio_inherit*: header and mirror entries of a VirtualService take over the match conditions, rewrites, timeouts, retries,
    header changes, CORS policy and faults of the entry that carries the weights. Off, because the reference does not.

    *traefik_group*: the API group of TraefikServices; Traefik 2 has them in `traefik.containo.us`.
    """

    istio_inherit: bool = False
    traefik_group: str = "traefik.io"
