"""How are the long-running parts started: the controller, the development cluster, the demo?"""

import asyncio
from collections.abc import Coroutine
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Any

import click

from tiphys.api.errors import TiphysError
from tiphys.cli.deciding import deciding_options, partners, router_settings
from tiphys.cli.options import Connected, chosen
from tiphys.cli.taken import takes_old_options


class MissingPartError(TiphysError):
    """Something that is installed only on demand is not there."""


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run *work* on uvloop where that is installed."""
    if find_spec("uvloop") is None:
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415 - not to be had everywhere

    return uvloop.run(work)


def _number(_ctx: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse `nan`, which no range does."""
    if isnan(value):
        raise click.BadParameter(f"{value} is not a number.")
    return value


@click.command(cls=Connected)
@click.option("--namespaced", is_flag=True, help="Work in one namespace only: that of --namespace, or the controller's own.")
@click.option("--rollout-threads", default=10, type=click.IntRange(min=1), show_default=True, help="Rollouts worked on at once.")
@click.option(
    "--rollout-resync",
    default=900,
    type=click.IntRange(min=1),
    show_default=True,
    help="Seconds after which every rollout is looked at again.",
)
@click.option(
    "--verify-retry-interval",
    "verify_interval",
    envvar="ROLLOUT_VERIFY_RETRY_INTERVAL",
    show_envvar=True,
    default=10.0,
    type=click.FloatRange(0.1, 86400),
    callback=_number,
    show_default=True,
    help="Seconds between two questions about what the traffic of a rollout really does.",
)
@click.option("--leader-elect/--no-leader-elect", default=True, show_default=True, help="Work only while holding the lease.")
@click.option(
    "--leader-election-lease-duration", "lease", default="15s", show_default=True, help="How long a lease counts that is not renewed."
)
@click.option("--leader-election-renew-deadline", "renew", default="10s", show_default=True, help="How long the holder tries to renew it.")
@click.option("--leader-election-retry-period", "retry", default="2s", show_default=True, help="How often anybody tries.")
@click.option("--bind-address", default="127.0.0.1", show_default=True, help="Address of the metrics and health ports.")
@click.option(
    "--metricsPort",
    "--metricsport",
    "metrics_port",
    default=8090,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="Port of /metrics; 0 takes a free one.",
)
@click.option(
    "--healthzPort",
    "health_port",
    default=8080,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="Port of /healthz and /readyz; 0 takes a free one.",
)
@click.option("--logformat", default="text", type=click.Choice(["text", "json"]), show_default=True, help="How log lines look.")
@takes_old_options
@deciding_options
def controller(**options: Any) -> int:  # noqa: ANN401 - one keyword for each option above
    """
    Run the controller until it is stopped.

    In a pod it uses the service account, elsewhere the kubeconfig. It watches all namespaces unless told otherwise.
    """
    from tiphys.cli.session import duration, overrides  # noqa: PLC0415 - only this command needs a client
    from tiphys.controller.run import run_process  # noqa: PLC0415 - heavy
    from tiphys.controller.settings import Settings  # noqa: PLC0415 - heavy
    from tiphys.kube.config import load_connection  # noqa: PLC0415 - heavy
    from tiphys.kube.lease import Durations  # noqa: PLC0415 - heavy

    given = chosen(click.get_current_context())
    connection = overrides(given)
    seconds = {
        name: float(duration(options[name], option=f"--leader-election-{text}"))
        for name, text in (("lease", "lease-duration"), ("renew", "renew-deadline"), ("retry", "retry-period"))
    }
    try:
        durations = Durations(**seconds)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return run_process(
        Settings(
            connection=connection,
            namespace=load_connection(connection).namespace if options["namespaced"] else None,
            instance_id=options["instance_id"],
            workers=options["rollout_threads"],
            resync=float(options["rollout_resync"]),
            verify_interval=options["verify_interval"],
            probes=options["probes"],
            leader_elect=options["leader_elect"],
            lease=durations,
            host=options["bind_address"],
            metrics_port=options["metrics_port"],
            health_port=options["health_port"],
            log_level=given.get("loglevel", "info"),
            log_format=options["logformat"],
            routers=router_settings(options),
            partners=partners(options),
        )
    )


@click.command()
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the API server; 0 takes a free one.")
@click.option("--mesh-port", default=0, type=click.IntRange(0, 65535), help="Port of the mesh's listener; 0 takes a free one.")
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the kubeconfig; by default a file that goes with the cluster.",
)
@click.option("--envoy/--no-envoy", default=True, show_default=True, help="Run the proxies that the planes need.")
@click.option(
    "--plane",
    "planes",
    default="istio",
    show_default=True,
    metavar="NAME[,NAME]",
    help="Whose route objects proxies act upon: istio, smi, gamma, ambassador, apisix, alb (Envoy); traefik, gateway, nginx (Traefik).",
)
@click.option("--pods/--no-pods", default=True, show_default=True, help="Run pods; without, they stay pending as without nodes.")
@click.option("--rollouts/--no-rollouts", default=True, show_default=True, help="Install the definitions of Rollouts and their kin.")
@click.option("--foreign/--no-foreign", default=True, show_default=True, help="Install the definitions of the traffic products' kinds.")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="File or folder of objects to create; may be repeated.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep all objects in this file: they are there again at the next start, also after a sudden end.",
)
def devcluster(  # noqa: PLR0913 - one for each option
    *,
    port: int,
    mesh_port: int,
    kubeconfig: Path | None,
    envoy: bool,
    planes: str,
    pods: bool,
    rollouts: bool,
    foreign: bool,
    files: tuple[Path, ...],
    data: Path | None,
) -> int:
    """
    Run a Kubernetes-compatible cluster in one process until it is stopped, in memory or with --data in a file.

    It listens on this machine only. Rollouts can be created in it; `tiphys controller` works on them.
    """
    from tiphys.api.crds import crd_manifests  # noqa: PLC0415 - heavy
    from tiphys.devcluster.run import Options, run_devcluster  # noqa: PLC0415 - heavy

    options = Options(
        port=port,
        mesh_port=mesh_port,
        kubeconfig=kubeconfig,
        proxies=envoy,
        planes=planes.split(","),
        pods=pods,
        foreign=foreign,
        definitions=crd_manifests() if rollouts else (),
        files=files,
        data=data,
    )
    return _run(run_devcluster(options))


@click.command()
@click.option(
    "--scenario",
    default="promote",
    show_default=True,
    type=click.Choice(["promote", "abort", "supersede", "evict"]),
    help="What happens to the canary.",
)
@click.option(
    "--router",
    "routers",
    default="istio",
    show_default=True,
    metavar="NAME[,NAME]",
    help="Through which routers the traffic comes: istio, traefik, gateway, nginx, ambassador, apisix, smi, alb.",
)
@click.option(
    "--strategy", default="canary", show_default=True, type=click.Choice(["canary", "bluegreen"]), help="How versions take turns."
)
@click.option(
    "--proxy-delay", default="0s", show_default=True, metavar="DURATION", help="With bluegreen: how late Envoy acts upon changes."
)
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, and say how to use it.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on one line, and nothing else.")
@click.option("--rate", default=200.0, show_default=True, type=click.FloatRange(min=1), help="Requests per second, over all routers.")
@click.option(
    "--picture",
    default="tiphys-demo.svg",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the picture of wanted and measured shares.",
)
def demo(*, scenario: str, routers: str, strategy: str, proxy_delay: str, keep: bool, as_json: bool, rate: float, picture: Path) -> int:
    """
    Show a canary, or blue-green updates, through a real proxy, on this machine.

    Starts a development cluster, real proxies and the controller, sends steady load, changes the image and measures where the requests
    go. Ends by itself, with status 1 if a request failed, a share was off or the scenario did not take place.
    """
    if find_spec("matplotlib") is None:
        raise MissingPartError("the demo: found no matplotlib, wanted what `pip install 'tiphys[demo]'` installs")
    from tiphys.cli.session import duration  # noqa: PLC0415 - heavy
    from tiphys.demo import bluegreen  # noqa: PLC0415 - heavy
    from tiphys.demo.run import Options, run_demo  # noqa: PLC0415 - heavy

    late = float(duration(proxy_delay, option="--proxy-delay"))
    told = {
        name: click.get_current_context().get_parameter_source(name) for name in ("scenario", "routers", "keep", "picture", "proxy_delay")
    }
    given = {name for name, source in told.items() if source is click.core.ParameterSource.COMMANDLINE}
    if strategy == "bluegreen":
        if given - {"proxy_delay"}:
            raise click.UsageError(f"--strategy bluegreen: takes no {', '.join(sorted(given - {'proxy_delay'}))}")
        return _run(bluegreen.run_blue_green(bluegreen.Options(json=as_json, rate=rate, proxy_delay=late)))
    if "proxy_delay" in given:
        raise click.UsageError("--proxy-delay: needs --strategy bluegreen")
    options = Options(scenario=scenario, routers=routers.split(","), keep=keep, json=as_json, rate=rate, picture=picture)
    return _run(run_demo(options))
