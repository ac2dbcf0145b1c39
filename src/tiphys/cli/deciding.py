"""Which choices of a controller's operator change what a pass decides? (The controller takes them, and whoever rehearses one.)"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from tiphys.plugins.partner import Partner
    from tiphys.traffic.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option(
        "--instance-id", default="", metavar="ID", help="Work only on objects labelled with this id; without one, on those with none."
    ),
    click.option("--probes/--no-probes", default=True, show_default=True, help="Let rollouts name a URL that the controller asks."),
    click.option(
        "--istio-inherit",
        is_flag=True,
        help="Let header and mirror routes take over matches, timeouts and retries of the route they stand for.",
    ),
    click.option(
        "--traefik-api-group",
        "traefik_group",
        default="traefik.io",
        show_default=True,
        help="API group of TraefikServices; traefik.containo.us for Traefik 2.",
    ),
    click.option(
        "--traefik-rule-syntax",
        "traefik_syntax",
        default="",
        type=click.Choice(["", "v2", "v3"]),
        help="Syntax of IngressRoute rules that name none; by default v2 with traefik.containo.us, else v3.",
    ),
    click.option(
        "--traffic-split-api-version",
        "smi_version",
        default="v1alpha1",
        type=click.Choice(["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]),
        show_default=True,
        help="Version of SMI TrafficSplits.",
    ),
    click.option(
        "--appmesh-crd-version",
        "app_mesh_version",
        default="v1beta2",
        show_default=True,
        help="Version of App Mesh's objects.",
    ),
    click.option(
        "--aws-verify-target-group",
        "--alb-verify-weight",
        "verify_target_groups",
        is_flag=True,
        help="Ask AWS whether its load balancers do what Ingresses say, before anything moves on.",
    ),
    click.option(
        "--alb-tag-key-resource-id",
        "alb_tag",
        default="ingress.k8s.aws/resource",
        show_default=True,
        help="Tag that says which Service a target group of AWS is for.",
    ),
    click.option(
        "--ingress-api-version",
        default="networking.k8s.io/v1",
        type=click.Choice(["", "networking.k8s.io/v1"]),
        show_default=True,
        expose_value=False,
        help="Version of Ingresses; no other is served since Kubernetes 1.22.",
    ),
    click.option(
        "--alb-ingress-classes",
        "--nginx-ingress-classes",
        multiple=True,
        expose_value=False,
        metavar="CLASS",
        help="Taken for the sake of existing manifests: an Ingress is worked on because a Rollout names it, whatever its class.",
    ),
    click.option(
        "--aws-target-group-binding-api-version",
        expose_value=False,
        metavar="VERSION",
        help="Taken for the sake of existing manifests: target groups are found by their tags, and no TargetGroupBinding is read.",
    ),
    click.option(
        "--router-plugin",
        "router_plugins",
        multiple=True,
        metavar="NAME=URL",
        help="A router in another process, by the name that Rollouts give below trafficRouting.plugins; may be repeated.",
    ),
    click.option(
        "--router-plugin-config",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="File that names such routers with their certificates, tokens and time limits.",
    ),
)


def deciding_options(command: F) -> F:
    """Let *command* take the options; `router_settings` and `partners` read them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def router_settings(options: Mapping[str, Any]) -> "Settings":
    """Give the choices about the routers of the table."""
    from tiphys.traffic.settings import Settings  # noqa: PLC0415 - heavy

    return Settings(
        istio_inherit=options["istio_inherit"],
        traefik_group=options["traefik_group"],
        traefik_syntax=options["traefik_syntax"],
        smi_version=options["smi_version"],
        app_mesh_version=options["app_mesh_version"],
        verify_target_groups=options["verify_target_groups"],
        alb_tag=options["alb_tag"],
    )


def partners(options: Mapping[str, Any]) -> "tuple[Partner, ...]":
    """Give the routers in other processes."""
    from tiphys.plugins.partner import partners_of  # noqa: PLC0415 - heavy

    return partners_of(options["router_plugins"], options["router_plugin_config"])
