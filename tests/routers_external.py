"""A router in another process as the contract tests meet it."""

from dataclasses import replace
from typing import Any

from builders import rollout
from router_setup import CANARY, MANAGED, PING_PONG, STABLE, Objects, Setup, after, strategy
from tiphys.api.meta import Manifest
from tiphys.api.rollout import Rollout
from tiphys.core.intent import Feature
from tiphys.plugins.contract import Self
from tiphys.plugins.documents import self_document
from tiphys.plugins.router import external_router

_ROUTES = frozenset(
    {Feature.WEIGHTS, Feature.HEADER_EXACT, Feature.HEADER_PREFIX, Feature.HEADER_REGEX, Feature.MIRROR, Feature.EXPERIMENTS}
)

EXTERNAL = "example.com/router"


def external_rollout(config: Manifest | None = None, **fields: Any) -> Rollout:  # noqa: ANN401  any JSON value
    """Give a Rollout behind a router in another process; *fields* are of the strategy, in their JSON form."""
    block = {EXTERNAL: config or {"entrance": "shop"}}
    routing = {"plugins": block, "managedRoutes": [{"name": name} for name in MANAGED], **fields.pop("trafficRouting", {})}
    return rollout(strategy=strategy(**{"canaryService": CANARY, "stableService": STABLE, "trafficRouting": routing, **fields}))


def _without_ours(manifest: Manifest) -> Manifest:
    """Leave out a canary that gets nothing: a wish may name it or not."""
    if "spec" not in manifest:
        return manifest
    traffic = manifest["spec"]["traffic"]
    backends = [share for share in traffic["backends"] if share.get("weight")]
    return {**manifest, "spec": {**manifest["spec"], "traffic": {**traffic, "backends": backends}}}


def external_setups() -> dict[str, Setup]:
    """Give each way to use a router in another process, which can do everything and holds the wish of a Rollout at rest."""
    said = Self(name="fake", contracts=("v1",), features=tuple(feature.value for feature in Feature))

    def setup(shows: frozenset[Feature], *, maximum: int = 100, stable: str = STABLE, canary: str = CANARY, **fields: Any) -> Setup:  # noqa: ANN401  any JSON value
        routing: Manifest = {} if maximum == 100 else {"maxTrafficWeight": maximum}
        router = external_router(EXTERNAL, external_rollout(trafficRouting=routing, **fields))
        start: Objects = {router.router: self_document(EXTERNAL, "41", said=said, listed=True)}
        made = Setup(
            product="external",
            router=router,
            start=start,
            shows=shows,
            places=(),
            maximum=maximum,
            stable=stable,
            canary=canary,
            creates=frozenset({router.state}),
            beyond={router.router: frozenset({router.state})},
            without_ours=_without_ours,
        )
        return replace(made, start=after(made, made.start_wish(), start))

    return {
        "external": setup(_ROUTES),
        "external with ping-pong": setup(frozenset({Feature.PING_PONG}), stable="web-pong", canary="web-ping", **PING_PONG),
        "external in thousandths": setup(frozenset({Feature.MAX_WEIGHT}), maximum=1000),
        "external without Services": setup(frozenset({Feature.SUBSETS}), stable="", canary="", canaryService="", stableService=""),
    }
