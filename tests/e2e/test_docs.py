"""Does every command on the pages of the documentation do what its page says?"""

import asyncio
import json
import re
import shlex
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from terminal import REPOSITORY, Terminal
from tiphys.api.crds import crd_manifests
from tiphys.cli.main import root
from tiphys.demo import app
from tiphys.demo.stage import Stage
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.filestore import FileStore
from tiphys.devcluster.foreign import foreign_definitions
from tiphys.devcluster.kinds import NAMESPACES
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.storage import Store
from tiphys.plugins.contract import Self, State, Wish
from tiphys.traffic.table import ROUTERS

Manifest = dict[str, Any]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SCRIPT = app.Script(steps=(app.weight(20), app.pause(), app.weight(60), app.pause(1)))
"""A shorter way than that of the demo, with one pause that waits for a person."""
INSTALL = "kubectl apply -f deploy/namespace.yaml -f deploy/crds.yaml -f deploy/rbac.yaml -f deploy/controller.yaml"


def commands(page: Path) -> list[str]:
    """Give the command lines of the page's `sh` blocks, in order, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*$", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


class Reader:
    """Somebody who reads a page and types its commands, in order, into a terminal in a clone of the repository."""

    def __init__(self, page: str, home: Path, kubeconfig: Path, mesh: str = "") -> None:
        self.clone = home / "clone"
        self.clone.mkdir()
        for name in ("deploy", "examples", "tests", "Makefile", "pyproject.toml", "requirements.lock"):
            (self.clone / name).symlink_to(REPOSITORY / name)
        self.terminal = Terminal(home=home, kubeconfig=kubeconfig, folder=self.clone, variables={"MESH": mesh})
        self._left = commands(REPOSITORY / page)

    async def types(self, *wanted: str, instead: Callable[[str], str] = str) -> str:
        """Type the next commands, which are *wanted*; gives what the last one prints."""
        printed = ""
        for each in wanted:
            assert self._left[:1] == [each]
            self._left.pop(0)
            printed = await self.terminal.types(instead(each))
        return printed

    async def watches(self, wanted: str, *, until: str) -> str:
        assert self._left.pop(0) == wanted
        return await self.terminal.watches(*shlex.split(wanted), until=until)

    def passes_over(self, wanted: str) -> None:
        """Take note of a command that is started in another way here."""
        assert self._left.pop(0) == wanted

    def has_finished(self) -> None:
        assert self._left == []


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as running:
        yield running


async def until(stage: Stage, name: str, holds: Callable[[Mapping[str, Any]], bool]) -> None:
    """Wait for a state of a Rollout, and for Envoy to act upon what is written by then."""
    subscription = stage.cluster.store.watch(stage.rollouts, namespace=app.NAMESPACE)
    try:
        async with asyncio.timeout(30):
            async for event in subscription:
                if event.manifest["metadata"]["name"] == name and holds(event.manifest.get("status", {})):
                    await stage.cluster.mesh.applied()
                    return
    finally:
        subscription.close()


def phase(wanted: str, *, step: int | None = None) -> Callable[[Mapping[str, Any]], bool]:
    return lambda status: status.get("phase") == wanted and step in {None, status.get("currentStepIndex")}


async def test_daily_use(stage: Stage, tmp_path: Path) -> None:
    for manifest in app.objects(SCRIPT):
        stage.apply(manifest)
    await until(stage, app.NAME, phase("Healthy"))
    reader = Reader("docs/daily-use.md", tmp_path, stage.kubeconfig, stage.envoy.url)
    reader.passes_over("tiphys demo --keep")

    assert "⟳ rollouts-demo" in await reader.watches("tiphys get rollout rollouts-demo --watch", until="revision:1")
    await reader.types("tiphys set image rollouts-demo rollouts-demo=tiphys/rollouts-demo:4")
    await until(stage, app.NAME, phase("Paused", step=1))
    await reader.types("tiphys promote rollouts-demo")
    assert (await reader.types("tiphys status rollouts-demo")).splitlines()[-1] == "Healthy"

    await reader.types("tiphys set image rollouts-demo rollouts-demo=tiphys/rollouts-demo:5")
    await until(stage, app.NAME, phase("Paused", step=1))
    await reader.types("tiphys abort rollouts-demo")
    await until(stage, app.NAME, phase("Degraded"))
    await reader.types("tiphys retry rollout rollouts-demo")
    await until(stage, app.NAME, phase("Paused", step=1))
    await reader.types("tiphys undo rollouts-demo")
    await until(stage, app.NAME, phase("Healthy"))

    await reader.types("tiphys pause rollouts-demo")
    await until(stage, app.NAME, phase("Paused"))
    await reader.types("tiphys resume rollouts-demo")
    await until(stage, app.NAME, phase("Healthy"))

    await reader.types("tiphys restart rollouts-demo")
    await until(stage, app.NAME, lambda status: bool(status.get("restartedAt")) and status["phase"] == "Healthy")

    await _routes_by_header(reader, stage)
    await _copies_requests(reader, stage)

    assert await reader.types("tiphys lint -f examples/header-route.yaml") == ""
    reader.has_finished()


async def _routes_by_header(reader: Reader, stage: Stage) -> None:
    await reader.types("kubectl apply -f examples/header-route.yaml")
    assert (await reader.types("tiphys status header-route")).splitlines()[-1] == "Healthy"
    await reader.types("tiphys set image header-route web=tiphys/rollouts-demo:2")
    await until(stage, "header-route", phase("Paused", step=2))
    assert "revision:2" in await reader.types("tiphys get rollout header-route")
    with_header = await reader.types("curl -H 'Host: header-route.local' -H 'Custom-Header1: Mozilla' $MESH")
    without = await reader.types("curl -H 'Host: header-route.local' $MESH")
    written = await reader.types("kubectl get virtualservice header-route-vsvc -o yaml")
    assert '"version": "2"' in with_header
    assert '"version": "' in without
    assert "name: set-header-1" in written
    await reader.types("tiphys promote header-route")
    await until(stage, "header-route", phase("Paused", step=4))
    await reader.types("tiphys promote header-route")
    await until(stage, "header-route", phase("Healthy"))


async def _copies_requests(reader: Reader, stage: Stage) -> None:
    await reader.types("kubectl apply -f examples/mirror-route.yaml")
    assert (await reader.types("tiphys status mirror-route")).splitlines()[-1] == "Healthy"
    await reader.types("tiphys set image mirror-route web=tiphys/rollouts-demo:2")
    await until(stage, "mirror-route", phase("Paused", step=2))
    assert "revision:2" in await reader.types("tiphys get rollout mirror-route")
    assert '"version": "1"' in await reader.types("curl -H 'Host: mirror-route.local' $MESH")
    await reader.types("tiphys promote mirror-route")
    await until(stage, "mirror-route", phase("Paused", step=4))


STOREFRONT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: storefront}
spec:
  replicas: 2
  selector: {matchLabels: {app: storefront}}
  template:
    metadata: {labels: {app: storefront}}
    spec: {containers: [{name: web, image: "shop/web:1"}]}
  strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}, {setWeight: 80}, {pause: {}}]}}
"""


async def test_readme(stage: Stage, tmp_path: Path) -> None:
    reader = Reader("README.md", tmp_path, stage.kubeconfig)
    (reader.clone / "rollout.yaml").write_text(STOREFRONT)
    await reader.terminal.says("kubectl", "apply", "-f", "rollout.yaml")
    await until(stage, "storefront", phase("Healthy"))

    await reader.types("make demo", "make test", instead=only_show)
    installed = await reader.types(INSTALL)
    assert "deployment.apps/tiphys created" in installed
    assert "⟳ storefront" in await reader.watches("tiphys get rollout storefront --watch", until="revision:1")
    await reader.types("tiphys set image storefront web=shop/web:2")
    await until(stage, "storefront", phase("Paused", step=1))
    await reader.types("tiphys promote storefront")
    await until(stage, "storefront", phase("Paused", step=3))
    await reader.types("tiphys abort storefront")
    await until(stage, "storefront", phase("Degraded"))
    assert await reader.types("tiphys lint -f rollout.yaml") == ""

    reader.has_finished()


async def test_troubleshooting(stage: Stage, tmp_path: Path) -> None:
    for manifest in app.objects(SCRIPT):
        stage.apply(manifest)
    await until(stage, app.NAME, phase("Healthy"))
    reader = Reader("docs/troubleshooting.md", tmp_path, stage.kubeconfig)

    def named(command: str) -> str:
        return command.replace("NAME", app.NAME).replace("CANARY", app.CANARY_SERVICE)

    shown = await reader.types("tiphys get rollout NAME", instead=named)
    described = await reader.types("kubectl describe rollout NAME", instead=named)

    weights = await reader.types(
        "kubectl get rollout NAME -o jsonpath='{.status.currentStepIndex} {.status.canary.weights}'", instead=named
    )
    slices = await reader.types("kubectl get endpointslices -l kubernetes.io/service-name=CANARY -o wide", instead=named)
    await reader.types("kubectl get events --field-selector involvedObject.name=NAME,type=Warning", instead=named)

    assert "Healthy" in shown
    assert "Conditions:" in described
    assert '"weight":100' in weights
    assert app.CANARY_SERVICE in slices
    reader.has_finished()


async def test_verification(stage: Stage, tmp_path: Path) -> None:
    reader = Reader("docs/verification.md", tmp_path, stage.kubeconfig, stage.envoy.url)

    await reader.types(
        'sed "s|http://mesh.example|$MESH|" examples/probe.yaml | kubectl apply -f -',
        "tiphys status probe",
        "tiphys set image probe web=tiphys/rollouts-demo:2",
        "kubectl wait rollout/probe --for=jsonpath='{.status.phase}'=Paused --timeout=60s",
    )
    verified = await reader.types("kubectl get rollout probe -o jsonpath='{.status.canary.weights.verified}'")
    await reader.types("tiphys promote probe")
    assert (await reader.types("tiphys status probe")).splitlines()[-1] == "Healthy"
    described = await reader.types("kubectl describe rollout probe")

    assert verified == "true"
    assert "Verified:" in described
    reader.has_finished()


async def test_commands_for_each_router_name_kinds_as_their_products_serve_them(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
    asked = re.findall(r"`kubectl get (\S+)(?: [A-Z]+)? -o yaml`", page)
    async with DevCluster(definitions=foreign_definitions(), api=ApiServer, pods=False) as cluster:
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        terminal = Terminal(home=tmp_path, kubeconfig=tmp_path / "kubeconfig")
        for kinds in sorted(set(asked)):
            await terminal.says("kubectl", "get", kinds, "-o", "yaml")

    assert len(set(asked)) >= len(ROUTERS)


async def test_install(tmp_path: Path) -> None:
    async with DevCluster(api=ApiServer, pods=False) as cluster:
        write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        reader = Reader("docs/install.md", tmp_path, tmp_path / "kubeconfig")

        created = await reader.types(INSTALL)
        again = await reader.terminal.types(INSTALL)
        await reader.terminal.says("kubectl", "wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
        served = await reader.terminal.says("kubectl", "api-resources", "--api-group=argoproj.io", "-o", "name")

    assert {line.split()[-1] for line in created.splitlines()} == {"created"}
    assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}
    assert set(served.split()) == {manifest["metadata"]["name"] for manifest in crd_manifests()}
    reader.has_finished()


OTHER_CONTROLLER = """\
apiVersion: v1
kind: Namespace
metadata: {name: argo-rollouts}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: argo-rollouts, namespace: argo-rollouts}
spec:
  selector: {matchLabels: {app: argo-rollouts}}
  template: {metadata: {labels: {app: argo-rollouts}}, spec: {containers: [{name: controller, image: "registry.example/other:1"}]}}
"""


async def test_moving(stage: Stage, tmp_path: Path) -> None:
    """The other controller is a Deployment by its name here; what it leaves is met by `test_left_by_reference.py`."""
    for manifest in app.objects(SCRIPT):
        stage.apply(manifest)
    await until(stage, app.NAME, phase("Healthy"))
    reader = Reader("docs/moving.md", tmp_path, stage.kubeconfig)
    (reader.clone / "other.yaml").write_text(OTHER_CONTROLLER)
    await reader.terminal.says("kubectl", "apply", "-f", "other.yaml")
    await reader.terminal.says("tiphys", "set", "image", app.NAME, f"{app.NAME}=tiphys/rollouts-demo:4")
    await until(stage, app.NAME, phase("Paused", step=1))

    live = await reader.types("tiphys adopt --check --all-namespaces")
    await reader.types("kubectl get rollouts,replicasets,services,endpointslices,virtualservices -o yaml > dump.yaml")
    dumped = await reader.types("tiphys adopt --check -f dump.yaml")
    await reader.terminal.types("kubectl get rollouts,services -o json > part.json")
    part = await reader.terminal.run("tiphys", "adopt", "--check", "-f", "part.json", "--json")
    await reader.types("kubectl -n argo-rollouts scale deployment argo-rollouts --replicas=0", INSTALL)
    there = await reader.types("tiphys list rollouts --all-namespaces")
    switched = await reader.types("kubectl get events --all-namespaces --field-selector reason=SwitchService")
    stopped = await reader.types("kubectl -n tiphys scale deployment tiphys --replicas=0")
    started = await reader.types("kubectl -n argo-rollouts scale deployment argo-rollouts --replicas=1")
    await reader.types("tiphys abort rollouts-demo")
    await until(stage, app.NAME, phase("Degraded"))
    await reader.types("tiphys undo rollouts-demo")
    await until(stage, app.NAME, phase("Healthy"))

    assert live == dumped
    assert [line.split()[:4] for line in live.splitlines()[1:2]] == [["✔", f"default/{app.NAME}", "Paused", "nothing"]]
    assert live.splitlines()[-1] == "1 rollout: 1 nothing (nothing is written)"
    (told,) = json.loads(part.out)
    assert (part.code, told["verdict"], set(told["missing"])) == (1, "stop", {"ReplicaSet", "EndpointSlice"})
    assert part.err.splitlines()[-1] == f"Error: not to be taken over like this: default/{app.NAME}"
    assert "Paused" in there
    assert "SwitchService" in switched
    assert "scaled" in stopped
    assert "scaled" in started
    reader.has_finished()


@asynccontextmanager
async def running(terminal: Terminal, command: str, *, says: str) -> AsyncIterator[None]:
    """Keep a command running in a terminal of its own; Ctrl-C ends it with status 0."""
    process = await terminal.start(*shlex.split(command))
    assert process.stdout is not None
    assert process.stderr is not None
    ears = process.stdout if "devcluster" in command else process.stderr
    try:
        await asyncio.wait_for(ears.readuntil(says.encode()), 30)
        yield
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, err.decode()


async def nobody_leaves(terminal: Terminal, labels: str) -> None:
    """Wait until no pod with *labels* is on its way out: what is said to all of them would not reach it."""
    leaving = f"kubectl get pods -l {labels} -o jsonpath={{.items[*].metadata.deletionTimestamp}}"
    async with asyncio.timeout(60):
        while await terminal.says(*leaving.split()):
            pass


async def test_devcluster(tmp_path: Path) -> None:
    reader = Reader("docs/devcluster.md", tmp_path, tmp_path / "clone" / "devcluster.kubeconfig")
    start, export, controller, *_ = commands(REPOSITORY / "docs/devcluster.md")
    for each in (start, export, controller):
        reader.passes_over(each)
    free_ports = f"{controller} --metricsPort 0 --healthzPort 0"

    assert export == "export KUBECONFIG=devcluster.kubeconfig"
    async with (
        running(reader.terminal, start, says="Ready; end it with Ctrl-C."),
        running(reader.terminal, free_ports, says="lead"),
    ):
        await reader.types("kubectl apply -f examples/header-route.yaml")
        assert (await reader.types("tiphys status header-route")).splitlines()[-1] == "Healthy"
        assert "rolled out" in await reader.types("kubectl apply -f examples/workloads.yaml", "kubectl rollout status deployment/parcels")
        await reader.types("kubectl set image deployment/parcels main=example.com/parcels:v2", "kubectl rollout undo deployment/parcels")
        assert "condition met" in await reader.types("kubectl wait --for=condition=complete job/backup")
        await reader.types("kubectl apply -f examples/autoscaled.yaml", "kubectl rollout status deployment/parcels")
        await nobody_leaves(reader.terminal, "app=parcels")
        await reader.types("kubectl annotate pods -l app=parcels devcluster.tiphys.dev/behaviour=cpu-90m")
        assert (await reader.types("kubectl get hpa parcels")).splitlines()[-1].startswith("parcels   Deployment/parcels")
    kept = "tiphys devcluster --kubeconfig devcluster.kubeconfig --data devcluster.db"
    reader.passes_over(kept)
    async with running(reader.terminal, f"{kept} --no-foreign --no-envoy", says="Ready; end it with Ctrl-C."):
        await reader.terminal.types("kubectl create namespace shop")
    with FileStore(reader.clone / "devcluster.db") as journal:
        assert Store(journal=journal).read(NAMESPACES, "shop") is not None
    reader.has_finished()


async def test_external_routers(tmp_path: Path) -> None:
    """The commands themselves are run by `test_external_router.py`, and what is said in JSON is what is said."""
    reader = Reader("docs/external-routers.md", tmp_path, tmp_path / "none")

    reader.passes_over('tiphys router-check http://127.0.0.1:9300 --config \'{"host": "check.example"}\'')
    reader.passes_over("python examples/external-router/show.py")

    assert (reader.clone / "examples" / "external-router" / "show.py").exists()
    reader.has_finished()


def test_what_external_routers_say_on_their_page_is_the_contract() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", (REPOSITORY / "docs/external-routers.md").read_text(), re.MULTILINE | re.DOTALL)
    kinds = (Self, Wish, State)

    for block, kind in zip(blocks, kinds, strict=True):
        said = json.loads(block)
        assert json.loads(msgspec.json.encode(msgspec.convert(said, kind, strict=True))) == _without_defaults(said)


def _without_defaults(said: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what a page may show and nobody has to say."""
    if isinstance(said, dict):
        return {key: _without_defaults(value) for key, value in said.items() if (key, value) not in (("maximum", 100), ("uniform", True))}
    return [_without_defaults(item) for item in said] if isinstance(said, list) else said


async def test_contributing(tmp_path: Path) -> None:
    reader = Reader("CONTRIBUTING.md", tmp_path, tmp_path / "none")

    suite = ("make conformance", 'make conformance ONLY="smi evict"')
    await reader.types("make test", "make check", "make fix", "make bench", *suite, instead=only_show)

    reader.has_finished()


def only_show(command: str) -> str:
    """Have make show what it would do: the target must exist, and its set-up too."""
    return command.replace("make ", "make --dry-run ", 1)


def test_every_page_with_commands_is_read_here() -> None:
    with_commands = {str(page.relative_to(REPOSITORY)) for page in PAGES if commands(page)}

    assert with_commands == {
        "README.md",
        "CONTRIBUTING.md",
        "docs/daily-use.md",
        "docs/devcluster.md",
        "docs/external-routers.md",
        "docs/install.md",
        "docs/moving.md",
        "docs/troubleshooting.md",
        "docs/verification.md",
    }


def mentioned(page: Path) -> list[str]:
    """Give the tiphys commands in the page's running text."""
    return re.findall(r"`(?:kubectl |\.venv/bin/)?tiphys ([^`…]+)`", page.read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if mentioned(page)], ids=lambda page: page.name)
def test_commands_in_running_text_exist_with_their_options(page: Path) -> None:
    for text in mentioned(page):
        command: click.Command = root
        options: set[str] = set()
        for word in text.split():
            if isinstance(command, click.Group) and not word.startswith("-"):
                found = command.get_command(click.Context(command), word)
                assert found is not None, text
                command = found
            elif word.startswith("-"):
                options.add(word)

        known = {name for each in command.get_params(click.Context(command)) for name in (*each.opts, *each.secondary_opts)}
        assert options <= known | {"--help"}, text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)

    assert [link for link in links if not (page.parent / link).exists()] == []
