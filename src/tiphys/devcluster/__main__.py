"""`python -m tiphys.devcluster`: the same as `tiphys devcluster`."""

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from tiphys.api.crds import crd_manifests
from tiphys.devcluster.run import Options, run_devcluster


def main() -> int:
    """Read the arguments and run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tiphys.devcluster", description="A Kubernetes-compatible cluster in one process.")
    parser.add_argument("--port", type=int, default=0, help="port of the API server; 0: a free one")
    parser.add_argument("--mesh-port", type=int, default=0, help="port of the mesh's listener; 0: a free one")
    parser.add_argument("--kubeconfig", type=Path, help="where to write the kubeconfig")
    parser.add_argument("--no-envoy", action="store_true", help="run no proxy")
    parser.add_argument("--plane", default="istio", metavar="NAME[,NAME]", help="whose route objects proxies act upon")
    parser.add_argument("--no-pods", action="store_true", help="leave pods pending, as without nodes")
    parser.add_argument("--no-foreign", action="store_true", help="install no definitions of traffic products' kinds")
    parser.add_argument("--data", type=Path, metavar="FILE", help="keep all objects in this file")
    parser.add_argument("file", type=Path, nargs="*", help="YAML files or folders of objects to create")
    chosen = parser.parse_args()
    options = Options(
        port=chosen.port,
        mesh_port=chosen.mesh_port,
        kubeconfig=chosen.kubeconfig,
        proxies=not chosen.no_envoy,
        planes=chosen.plane.split(","),
        pods=not chosen.no_pods,
        foreign=not chosen.no_foreign,
        definitions=crd_manifests(),
        files=chosen.file,
        data=chosen.data,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_devcluster(options))


if __name__ == "__main__":
    sys.exit(main())
