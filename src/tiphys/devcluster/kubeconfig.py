"""How do kubectl and other clients find the development cluster?"""

import os
from pathlib import Path

import yaml

from tiphys.devcluster.rules import Manifest

NAME = "tiphys-devcluster"


def kubeconfig(url: str) -> Manifest:
    """Give a kubeconfig for the API server at *url*; it asks for no credentials, so there are none."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": url}}],
        "users": [{"name": NAME, "user": {}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}],
        "current-context": NAME,
    }


def write_kubeconfig(path: Path, url: str) -> None:
    """
    Write the kubeconfig for *url* to *path*, readable by its owner only.

    Raises: OSError when it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(kubeconfig(url), file, sort_keys=False)
