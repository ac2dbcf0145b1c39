"""Does everybody who makes a mistake get one clear message, and nobody else notice?"""

import asyncio
import json
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from terminal import Terminal
from tiphys.api.crds import crd_manifests
from tiphys.demo import app
from tiphys.demo.stage import Stage
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster
from tiphys.devcluster.kinds import EVENTS, PODS, REPLICA_SETS, SERVICES
from tiphys.devcluster.kubeconfig import write_kubeconfig
from tiphys.devcluster.resources import ResourceType

Manifest = dict[str, Any]


def service(name: str, owner: str) -> Manifest:
    spec = {"selector": {"app": owner}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def virtual_service(owner: str) -> Manifest:
    route = [{"destination": {"host": f"{owner}-{role}"}, "weight": weight} for role, weight in (("stable", 100), ("canary", 0))]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": f"{owner}-vsvc"},
        "spec": {"hosts": [f"{owner}.local"], "http": [{"name": "primary", "route": route}]},
    }


def rollout(name: str) -> Manifest:
    canary = {
        "stableService": f"{name}-stable",
        "canaryService": f"{name}-canary",
        "trafficRouting": {
            "managedRoutes": [{"name": "beta"}],
            "istio": {"virtualService": {"name": f"{name}-vsvc", "routes": ["primary"]}},
        },
        "steps": [{"setWeight": 20}, {"pause": {"duration": "1s"}}],
    }
    pod = {"containers": [{"name": "web", "image": "shop/web:1", "ports": [{"containerPort": 8080}]}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
            "strategy": {"canary": canary},
        },
    }


def belongings(name: str) -> list[Manifest]:
    """Give what a Rollout of this name needs."""
    return [service(f"{name}-stable", name), service(f"{name}-canary", name), virtual_service(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrong thing in the spec, and what everybody says to it; *lints* where `tiphys lint` says something else."""

    edit: Callable[[Manifest], object]
    says: str
    lints: str = ""


def _canary(spec: Manifest) -> Manifest:
    found: Manifest = spec["strategy"]["canary"]
    return found


HEADER_STEP: Manifest = {"setHeaderRoute": {"name": "gamma", "match": [{"headerName": "X", "headerValue": {"exact": "beta"}}]}}

IN_THE_SPEC = {
    "unknown-strategy": Mistake(
        edit=lambda spec: spec.update(strategy={"rainbow": {}}),
        says="spec.strategy.strategy: Required value: one of canary and blueGreen",
        lints='spec.strategy.rainbow: Invalid value: "{}": no such field',
    ),
    "two-strategies": Mistake(
        edit=lambda spec: spec["strategy"].update(blueGreen={"activeService": "two-strategies-stable"}),
        says='spec.strategy.strategy: Invalid value: "canary, blueGreen": must have only one of canary and blueGreen',
    ),
    "negative-weight": Mistake(
        edit=lambda spec: _canary(spec).update(steps=[{"setWeight": -5}]),
        says="spec.strategy.steps[0].setWeight: Invalid value: -5: must be 0 to 100",
    ),
    "weight-over-100": Mistake(
        edit=lambda spec: _canary(spec).update(steps=[{"setWeight": 150}]),
        says="spec.strategy.steps[0].setWeight: Invalid value: 150: must be 0 to 100",
    ),
    "no-duration": Mistake(
        edit=lambda spec: _canary(spec).update(steps=[{"pause": {"duration": "ten minutes"}}]),
        says='spec.strategy.steps[0].pause.duration: Invalid value: "ten minutes": must be 0 or more seconds, or a duration such as 90s',
    ),
    "other-selector": Mistake(
        edit=lambda spec: spec["template"]["metadata"].update(labels={"app": "another"}),
        says='spec.template.metadata.labels: Invalid value: "app=another": must match the selector app=other-selector',
    ),
    "unmanaged-route": Mistake(
        edit=lambda spec: _canary(spec).update(steps=[{"setWeight": 20}, HEADER_STEP]),
        says='spec.strategy.steps[1].setHeaderRoute: Invalid value: "gamma": must be listed in managedRoutes (beta)',
    ),
    "no-such-route": Mistake(
        edit=lambda spec: _canary(spec)["trafficRouting"]["istio"]["virtualService"].update(routes=["secondary"]),
        says='no-such-route-vsvc: routes: Invalid value: "secondary": must be the name of an http entry; there are: primary',
    ),
}
ELSEWHERE = {
    "no-service": 'spec.strategy.canary.canaryService: Invalid value: "no-service-canary": must be a Service in namespace "default"',
    "no-virtual-service": 'Invalid value: "no-virtual-service-vsvc": must name an existing VirtualService',
}
SAYS = {name: mistake.says for name, mistake in IN_THE_SPEC.items()} | ELSEWHERE


def wrong(name: str) -> Manifest:
    """Give the Rollout with the mistake of its name."""
    manifest = rollout(name)
    if name in IN_THE_SPEC:
        IN_THE_SPEC[name].edit(manifest["spec"])
    return manifest


def missing(name: str) -> list[Manifest]:
    """Give the objects that the Rollout names and nobody has created."""
    absent = {"no-service": "no-service-canary", "no-virtual-service": "no-virtual-service-vsvc"}.get(name)
    return [each for each in belongings(name) if each["metadata"]["name"] == absent]


def write(path: Path, manifests: Iterable[Manifest]) -> str:
    path.write_text(yaml.safe_dump_all([deepcopy(each) for each in manifests]))
    return path.name


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(home=tmp_path, folder=tmp_path, kubeconfig=tmp_path / "kubeconfig")


# The command and files


async def test_lint_names_field_found_and_wanted_of_each_mistake(terminal: Terminal) -> None:
    for name, mistake in IN_THE_SPEC.items():
        file = write(terminal.folder / f"{name}.yaml", [*belongings(name), wrong(name)])

        done = await terminal.run("tiphys", "lint", "-f", file)

        said = mistake.lints or mistake.says
        assert (name, done.code) == (name, 1)
        assert said in done.out.splitlines()[0], name
        assert done.out.startswith(f"{file}:"), name
        assert done.err == f"Error: {done.out.splitlines()[0]}\n", name


async def test_malformed_yaml_is_one_message_and_creates_nothing(terminal: Terminal) -> None:
    (terminal.folder / "broken.yaml").write_text("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: [\n")
    async with DevCluster(definitions=crd_manifests(), api=ApiServer, pods=False) as cluster:
        write_kubeconfig(terminal.folder / "kubeconfig", cluster.url)

        linted = await terminal.run("tiphys", "lint", "-f", "broken.yaml")
        created = await terminal.run("tiphys", "create", "-f", "broken.yaml")
        applied = await terminal.run("kubectl", "apply", "-f", "broken.yaml")
        left = await terminal.says("kubectl", "get", "rollouts", "-o", "name")

    for done in (linted, created):
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert done.err.startswith("Error: broken.yaml:4:")
    assert applied.code == 1
    assert left == ""


# The controller and objects


@pytest.fixture
async def stage(terminal: Terminal) -> AsyncIterator[Stage]:
    async with Stage() as running:
        write_kubeconfig(terminal.folder / "kubeconfig", running.cluster.url)
        yield running


def found(stage: Stage, resource: ResourceType, owner: str) -> list[Manifest]:
    """Give the objects of a Rollout of one kind."""
    everything = stage.cluster.store.scan(resource, namespace=app.NAMESPACE)
    return [dict(each.manifest) for each in everything if each.manifest["metadata"]["name"].startswith(owner)]


def around(stage: Stage, name: str) -> list[list[Manifest]]:
    return [found(stage, resource, name) for resource in (SERVICES, stage.virtual_services, REPLICA_SETS, PODS)]


def given(manifest: Mapping[str, Any]) -> Manifest:
    """Give what of a Rollout the user wrote."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in {"resourceVersion", "managedFields"}}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def invalid(manifest: Mapping[str, Any]) -> list[Manifest]:
    conditions: list[Manifest] = manifest.get("status", {}).get("conditions") or []
    return [each for each in conditions if each["type"] == "InvalidSpec" and each["status"] == "True"]


def complaints(stage: Stage, name: str) -> list[Manifest]:
    events = found(stage, EVENTS, name)
    return [each for each in events if each["involvedObject"]["name"] == name and each["type"] == "Warning"]


async def every(stage: Stage, names: Iterable[str], resource: ResourceType, holds: Callable[[str], bool]) -> None:
    """Wait until *holds* for each name, looking again after each change of *resource*."""
    subscription = stage.cluster.store.watch(resource, namespace=app.NAMESPACE)
    try:
        async with asyncio.timeout(30):
            async for _ in subscription:
                if all(holds(name) for name in names):
                    return
    finally:
        subscription.close()


def current(stage: Stage, name: str) -> Manifest:
    return stage.cluster.store.get(stage.rollouts, name, namespace=app.NAMESPACE)


def healthy_on(stage: Stage, image: str) -> Callable[[str], bool]:
    def holds(name: str) -> bool:
        manifest = current(stage, name)
        status = manifest.get("status", {})
        fresh = status.get("observedGeneration") == str(manifest["metadata"]["generation"])
        stable = [each for each in found(stage, REPLICA_SETS, name) if each["metadata"]["name"] == f"{name}-{status.get('stableRS')}"]
        images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in stable]
        return fresh and status.get("phase") == "Healthy" and images == [image]

    return holds


async def test_bad_rollouts_are_told_and_touch_nothing_while_a_good_one_goes_on(stage: Stage, terminal: Terminal) -> None:
    good = [*belongings("good"), rollout("good")]
    there = [each for name in SAYS for each in belongings(name) if each not in missing(name)]
    await terminal.says("kubectl", "apply", "-f", write(terminal.folder / "given.yaml", [*good, *there]))
    await every(stage, ["good"], stage.rollouts, healthy_on(stage, "shop/web:1"))
    before = {name: around(stage, name) for name in SAYS}

    bad = write(terminal.folder / "bad.yaml", [wrong(name) for name in SAYS])
    await terminal.says("kubectl", "apply", "--validate=false", "-f", bad)
    wishes = {name: given(current(stage, name)) for name in SAYS}
    await terminal.says("tiphys", "set", "image", "good", "web=shop/web:2")
    await every(stage, SAYS, stage.rollouts, lambda name: bool(invalid(current(stage, name))))
    await every(stage, SAYS, EVENTS, lambda name: bool(complaints(stage, name)))
    await every(stage, ["good"], stage.rollouts, healthy_on(stage, "shop/web:2"))

    for name, said in SAYS.items():
        manifest = current(stage, name)
        (condition,) = invalid(manifest)
        (event,) = complaints(stage, name)
        assert condition["message"].startswith(f'The Rollout "{name}" is invalid: ')
        assert said in condition["message"]
        assert (event["reason"], event["message"], event.get("count", 1)) == ("InvalidSpec", condition["message"], 1)
        assert manifest["status"]["phase"] == "Degraded"
        assert set(manifest["status"]) == {"conditions", "message", "observedGeneration", "phase"}
        assert given(manifest) == wishes[name]
        assert around(stage, name) == before[name]
    told = await terminal.run("tiphys", "status", "negative-weight")
    assert (told.code, told.err) == (
        1,
        f"Error: The rollout is in a degraded state with message: {current(stage, 'negative-weight')['status']['message']}\n",
    )
    assert "Traceback" not in stage.log.read_text()


async def test_a_rollout_goes_on_as_soon_as_the_mistake_is_mended(stage: Stage, terminal: Terminal) -> None:
    there = [each for name in SAYS for each in belongings(name) if each not in missing(name)]
    bad = write(terminal.folder / "bad.yaml", [*there, *(wrong(name) for name in SAYS)])
    await terminal.says("kubectl", "apply", "--validate=false", "-f", bad)
    await every(stage, SAYS, stage.rollouts, lambda name: bool(invalid(current(stage, name))))

    mended = [*(each for name in ELSEWHERE for each in missing(name)), *(rollout(name) for name in IN_THE_SPEC)]
    await terminal.says("kubectl", "apply", "-f", write(terminal.folder / "mended.yaml", mended))

    await every(stage, SAYS, stage.rollouts, healthy_on(stage, "shop/web:1"))
    assert {name: invalid(current(stage, name)) for name in SAYS} == {name: [] for name in SAYS}


async def test_an_object_that_vanishes_in_an_update_holds_it_and_lets_it_go_on_when_it_is_back(stage: Stage, terminal: Terminal) -> None:
    await terminal.says("kubectl", "apply", "-f", write(terminal.folder / "shop.yaml", [*belongings("shop"), rollout("shop")]))
    await every(stage, ["shop"], stage.rollouts, healthy_on(stage, "shop/web:1"))

    await terminal.says("kubectl", "delete", "virtualservice", "shop-vsvc")
    await terminal.says("tiphys", "set", "image", "shop", "web=shop/web:2")
    await every(stage, ["shop"], stage.rollouts, lambda name: bool(invalid(current(stage, name))))
    (condition,) = invalid(current(stage, "shop"))
    stable = current(stage, "shop")["status"]["stableRS"]
    await terminal.says("kubectl", "apply", "-f", write(terminal.folder / "vsvc.yaml", [virtual_service("shop")]))

    assert 'Invalid value: "shop-vsvc": must name an existing VirtualService' in condition["message"]
    assert [each["spec"]["replicas"] for each in found(stage, REPLICA_SETS, f"shop-{stable}")] == [1]
    await every(stage, ["shop"], stage.rollouts, healthy_on(stage, "shop/web:2"))


# The API server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """Serve an API that accepts no credentials."""
    body = b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","message":"Unauthorized","code":401}'
    head = f"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def expired(path: Path, url: str) -> None:
    """Write a kubeconfig with a token that the server at *url* does not take."""
    write_kubeconfig(path, url)
    kubeconfig = yaml.safe_load(path.read_text())
    kubeconfig["users"][0]["user"] = {"token": "of-last-year"}
    path.write_text(json.dumps(kubeconfig))


@asynccontextmanager
async def controller(terminal: Terminal) -> AsyncIterator[tuple[Process, str]]:
    """Run a controller in a process of its own, with the address of its health page."""
    port = free_port()
    arguments = ("--no-leader-elect", "--metricsPort", "0", "--healthzPort", str(port), "--logformat", "json")
    process = await terminal.start("tiphys", "controller", *arguments)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def logged(process: Process, part: str) -> list[Manifest]:
    """Read log lines until one has *part* in it."""
    lines: list[Manifest] = []
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while not lines or part not in json.dumps(lines[-1]):
            read = await process.stderr.readline()
            assert read, lines
            lines.append(json.loads(read))
    return lines


async def asked(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def ended(process: Process) -> tuple[int | None, str]:
    """End a controller; gives its exit status and the rest of its log."""
    process.terminate()
    _, rest = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, rest.decode()


async def test_an_unreachable_api_server_is_one_message_one_log_line_and_not_ready(terminal: Terminal) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    write_kubeconfig(terminal.folder / "kubeconfig", url)

    typed = await terminal.run("tiphys", "get", "rollout", "web")
    async with controller(terminal) as (process, pages):
        lines = await logged(process, "cannot be reached")
        ready, alive = await asked(f"{pages}/readyz"), await asked(f"{pages}/healthz")
        status, rest = await ended(process)

    assert (typed.code, typed.out, typed.err) == (1, "", f"Error: cannot reach the API server {url}: connection refused\n")
    assert (lines[-1]["level"], lines[-1]["server"]) == ("error", url)
    assert ready[0] == 503
    assert f"the API server {url} cannot be reached" in ready[1]
    assert alive == (200, "ok")
    assert status == 0
    assert "cannot be reached" not in rest
    assert "Traceback" not in rest


async def test_expired_credentials_are_one_message_one_log_line_and_not_ready(terminal: Terminal) -> None:
    async with refusing() as url:
        expired(terminal.folder / "kubeconfig", url)

        typed = await terminal.run("tiphys", "list", "rollouts")
        async with controller(terminal) as (process, pages):
            lines = await logged(process, "credentials")
            ready, alive = await asked(f"{pages}/readyz"), await asked(f"{pages}/healthz")
            status, rest = await ended(process)

    origin = f"user 'tiphys-devcluster' in {terminal.kubeconfig}"
    assert (typed.code, typed.err) == (1, f"Error: {url} does not accept the credentials from {origin}: Unauthorized\n")
    assert (lines[-1]["level"], lines[-1]["server"]) == ("error", url)
    assert ready[0] == 503
    assert f"the API server {url} does not accept our credentials" in ready[1]
    assert alive == (200, "ok")
    assert status == 0
    assert "does not accept" not in rest
    assert "Traceback" not in rest
