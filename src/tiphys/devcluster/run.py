"""What does `tiphys devcluster` do from its start to its end?"""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from tiphys.api.errors import TiphysError
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.filestore import FileStore
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.proxies.mesh import MeshFeed
from tiphys.devcluster.proxies.planes import DEFAULT
from tiphys.devcluster.rules import Manifest
from tiphys.devcluster.storage import Store

NOT_EMULATED = "Every pod is a small HTTP server; image tags say how it behaves, and there is no scheduler."


class FileError(TiphysError):
    """A file of manifests cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person may choose; port 0 takes a free one."""

    port: int = 0
    host: str = "127.0.0.1"
    kubeconfig: Path | None = None
    """Where to write the kubeconfig; without it, a temporary file that goes with the cluster."""
    proxies: bool = True
    mesh_port: int = 0
    planes: Sequence[str] = DEFAULT
    """Whose route objects proxies act upon; see `proxies/planes.py`."""
    pods: bool = True
    """Without a kubelet pods stay pending, as in a control plane without nodes."""
    foreign: bool = True
    """Whether the definitions of the traffic products' kinds are installed."""
    definitions: Sequence[Manifest] = ()
    """Further CustomResourceDefinitions, for example those of Rollouts."""
    files: Sequence[Path] = ()
    """Files and folders of YAML to create objects from."""
    data: Path | None = None
    """The file that the objects live in; without it they go with the process."""


async def run_devcluster(options: Options, *, say: Callable[[str], None] | None = None) -> int:
    """Run the cluster until SIGINT or SIGTERM; gives the exit status."""
    tell = say or _print
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stopped.set)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tiphys-devcluster-"))
            journal = stack.enter_context(FileStore(options.data)) if options.data is not None else None
            await _run(options, options.kubeconfig or Path(folder) / "kubeconfig", journal, stopped, tell)
    except (TiphysError, StatusError, ValueError, OSError) as error:
        tell(f"Error: {error}")
        return 1
    finally:
        for wanted in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(wanted)
    return 0


async def _run(options: Options, kubeconfig: Path, journal: FileStore | None, stopped: asyncio.Event, tell: Callable[[str], None]) -> None:
    objects = [each for path in options.files for each in read_manifests(path)]
    definitions = [*options.definitions, *(each for each in objects if _is_definition(each))]
    if options.foreign:
        theirs = {each["metadata"]["name"] for each in definitions}
        definitions += [each for each in foreign_definitions() if each["metadata"]["name"] not in theirs]
    cluster = DevCluster(
        definitions=definitions,
        store=Store(journal=journal),
        api=lambda store: ApiServer(store, host=options.host, port=options.port),
        planes=options.planes if options.proxies else (),
        mesh_port=options.mesh_port,
        pods=options.pods,
    )
    async with cluster:
        create(cluster.store, [each for each in objects if not _is_definition(each)], again=journal is not None)
        write_kubeconfig(kubeconfig, cluster.url)
        for line in _greeting(cluster, kubeconfig):
            tell(line)
        for proxy in cluster.proxies:
            proxy.when_left_out(lambda problem: tell(f"Routes      {problem}"))
        ends = [asyncio.ensure_future(each) for each in (stopped.wait(), cluster.broken(), _lost(journal))]
        done, waiting = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        for each in done:
            each.result()
    tell(f"The development cluster has ended; {'nothing of it is left' if journal is None else f'its objects are in {journal.path}'}.")


async def _lost(journal: FileStore | None) -> None:
    """
    Wait for ever, or until a write could not be kept: what is in memory then is not what will be there again.

    Raises: DataError.
    """
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    if journal is not None:
        journal.when_broken(lost.set_exception)
    await lost


def read_manifests(path: Path) -> list[Manifest]:
    """
    Read all documents of a YAML file, or of every YAML file of a folder, by name.

    Raises: FileError naming the file and what is wrong with it.
    """
    if path.is_dir():
        return [each for file in sorted(path.rglob("*.y*ml")) for each in read_manifests(file)]
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text()) if each is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise FileError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    for each in documents:
        if not isinstance(each, dict) or not each.get("kind") or not each.get("apiVersion") or not each.get("metadata"):
            raise FileError(f"{path}: found a document without apiVersion, kind or metadata; wanted Kubernetes objects")
    return documents


def create(store: Store, objects: Sequence[Manifest], *, again: bool = False) -> None:
    """
    Create *objects*, those without a namespace in `default`; *again* leaves those that are there as they are.

    Raises: FileError for a kind that is not served, StatusError for an object that is refused.
    """
    for each in objects:
        try:
            resource = store.registry.of_manifest(each)
        except LookupError as error:
            raise FileError(str(error.args[0])) from error
        namespace = str(each["metadata"].get("namespace") or "default") if resource.namespaced else ""
        if again and store.read(resource, str(each["metadata"].get("name", "")), namespace) is not None:
            continue
        store.create(resource, each, namespace=namespace, manager="tiphys-devcluster")


def _is_definition(manifest: Manifest) -> bool:
    return manifest.get("kind") == "CustomResourceDefinition"


def _greeting(cluster: DevCluster, kubeconfig: Path) -> list[str]:
    kubectl = _beside_python("kubectl") or shutil.which("kubectl") or "kubectl"
    lines = [f"API server  {cluster.url}  (everybody on this machine may do everything)"]
    for proxy in cluster.proxies:
        title, host = ("Mesh", "SERVICE") if isinstance(proxy, MeshFeed) else ("Traefik", "HOST")
        routes = f"routes of {', '.join(proxy.planes)}"
        lines.append(f"{title:11} {proxy.url}  ({routes}; for example: curl -H 'Host: {host}' {proxy.url}/)")
    lines += [
        f"Kubeconfig  {kubeconfig}",
        f"Use it      export KUBECONFIG={kubeconfig}; {kubectl} get all",
        f"Know it     {NOT_EMULATED}",
        "Ready; end it with Ctrl-C.",
    ]
    return lines


def _beside_python(program: str) -> str | None:
    found = Path(sys.executable).parent / program
    return str(found) if found.exists() else None


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
