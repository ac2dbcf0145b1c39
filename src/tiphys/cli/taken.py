"""Which options of the reference controller mean nothing here, and are taken so that existing manifests start ours?"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

_C = TypeVar("_C", bound=Callable[..., Any])

_WORKERS: Final = "one pass over a Rollout does all of its work; see --rollout-threads."
_PACE: Final = "few requests are made, and the API server's own limits are kept."
_VERSION: Final = "the version that the server prefers is used."

NUMBERS: Final[Mapping[str, str]] = {
    "--experiment-threads": _WORKERS,
    "--analysis-threads": _WORKERS,
    "--service-threads": _WORKERS,
    "--ingress-threads": _WORKERS,
    "--ephemeral-metadata-threads": _WORKERS,
    "--ephemeral-metadata-update-pod-retries": "a pod that was not written is written in the next pass.",
    "--burst": _PACE,
}
TEXTS: Final[Mapping[str, str]] = {
    "--qps": _PACE,
    "--istio-api-version": _VERSION,
    "--ambassador-api-version": _VERSION,
    "--traefik-api-version": _VERSION,
    "--enable-pprof-address": "there are no profiles of Go in a program in Python.",
}


def takes_old_options(command: _C) -> _C:
    """Let *command* take them."""
    for names, kind, metavar in ((NUMBERS, click.INT, "N"), (TEXTS, click.STRING, "TEXT")):
        for name, why in names.items():
            text = f"Taken for the sake of existing manifests: {why}"
            command = click.option(name, type=kind, metavar=metavar, expose_value=False, help=text)(command)
    return command
