"""Does the kubectl that people use work with the development API server?"""

import asyncio
import functools
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lives import LIVES
from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.kinds import CRDS
from tiphys.devcluster.storage import Store

KUBECTL = Path(sys.executable).parent / "kubectl"
CRDS_FOLDER = Path(__file__).parents[3] / "shared" / "crds"

pytestmark = [
    pytest.mark.skipif(not CRDS_FOLDER.exists(), reason="the products' definitions lie beside the repository, and only there"),
]

ROLLOUT: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "demo", "labels": {"app": "demo"}},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "demo"}},
        "template": {
            "metadata": {"labels": {"app": "demo"}},
            "spec": {"containers": [{"name": "main", "image": "example.com/app:1", "ports": [{"containerPort": 8080}]}]},
        },
        "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}},
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "demo"},
    "spec": {"selector": {"app": "demo"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


class Kubectl:
    """Runs kubectl against one server, with a home of its own."""

    def __init__(self, server: ApiServer, home: Path) -> None:
        self._server = server
        self._home = home

    async def run(self, *arguments: str, stdin: object = None) -> tuple[int, str]:
        """Give the exit code and everything printed; *stdin* goes in as YAML."""
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            "--server",
            self._server.url,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(self._home), "KUBECONFIG": "/dev/null", "PATH": "/usr/bin:/bin"},
        )
        documents = stdin if isinstance(stdin, list) else [stdin]
        printed, _ = await process.communicate(None if stdin is None else yaml.safe_dump_all(documents).encode())
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def __call__(self, *arguments: str, stdin: object = None) -> str:
        code, printed = await self.run(*arguments, stdin=stdin)
        assert code == 0, f"kubectl {' '.join(arguments)}: {printed}"
        return printed


@functools.cache
def rollout_definition() -> dict[str, Any]:
    with (CRDS_FOLDER / "argoproj" / "rollout-crd.yaml").open() as file:
        found: dict[str, Any] = yaml.load(file, yaml.CSafeLoader)
    return found


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    store = Store()
    store.create(CRDS, rollout_definition())
    async with ApiServer(store) as running:
        yield running


@pytest.fixture
def kubectl(server: ApiServer, tmp_path: Path) -> Kubectl:
    return Kubectl(server, tmp_path)


async def test_all_the_products_definitions_can_be_installed(kubectl: Kubectl) -> None:
    printed = await kubectl("apply", "-R", "-f", str(CRDS_FOLDER))
    established = await kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=10s")

    assert len(printed.strip().splitlines()) >= len(established.strip().splitlines()) > 30
    assert "httproutes.gateway.networking.k8s.io condition met" in established


async def test_apply_creates_then_changes_then_rests(kubectl: Kubectl) -> None:
    first = await kubectl("apply", "-f", "-", stdin=[ROLLOUT, SERVICE])
    changed = json.loads(json.dumps(ROLLOUT))
    changed["spec"]["strategy"]["canary"]["steps"][0]["setWeight"] = 50
    code, difference = await kubectl.run("diff", "-f", "-", stdin=changed)
    second = await kubectl("apply", "-f", "-", stdin=[changed, SERVICE])
    seen = json.loads(await kubectl("get", "rollout", "demo", "-o", "json"))

    assert first.splitlines() == ["rollout.argoproj.io/demo created", "service/demo created"]
    assert (code, "+      - setWeight: 50" in difference) == (1, True)
    assert second.splitlines() == ["rollout.argoproj.io/demo configured", "service/demo unchanged"]
    assert (seen["spec"]["strategy"]["canary"]["steps"][0], seen["metadata"]["generation"]) == ({"setWeight": 50}, 2)


async def test_server_side_apply_shares_out_the_fields_and_refuses_what_others_own(kubectl: Kubectl) -> None:
    """From kubectl's own client-side apply to the server's, then a second manager."""
    other = json.loads(json.dumps(ROLLOUT))
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/app:2"
    await kubectl("apply", "-f", "-", stdin=ROLLOUT)

    moved = await kubectl("apply", "--server-side", "-f", "-", stdin=ROLLOUT)
    code, refused = await kubectl.run("apply", "--server-side", "--field-manager=ci", "-f", "-", stdin=other)
    await kubectl("apply", "--server-side", "--field-manager=ci", "--force-conflicts", "-f", "-", stdin=other)
    seen = json.loads(await kubectl("get", "rollout", "demo", "-o", "json", "--show-managed-fields"))

    assert moved == "rollout.argoproj.io/demo serverside-applied\n"
    conflict = 'conflict with "kubectl": .spec.template.spec.containers[name="main"].image'
    assert (code, refused.splitlines()[0]) == (1, f"error: Apply failed with 1 conflict: {conflict}")
    assert seen["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app:2"
    owners = {entry["manager"]: entry for entry in seen["metadata"]["managedFields"]}
    assert {entry["operation"] for entry in owners.values()} == {"Apply"}
    images = [name for name, entry in owners.items() if "f:image" in json.dumps(entry)]
    assert images == ["ci"]


async def test_a_list_is_applied_item_by_item(kubectl: Kubectl) -> None:
    both = {"apiVersion": "v1", "kind": "List", "items": [ROLLOUT, SERVICE]}

    assert (await kubectl("apply", "-f", "-", stdin=both)).splitlines() == ["rollout.argoproj.io/demo created", "service/demo created"]


async def test_get_shows_the_columns_that_the_definition_asks_for(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=[ROLLOUT, SERVICE])

    rollouts = (await kubectl("get", "ro")).splitlines()
    services = (await kubectl("get", "svc", "-l", "app!=x", "-o", "wide")).splitlines()
    both = await kubectl("get", "ro,svc", "-A", "-o", "name")

    assert rollouts[0].split() == ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert rollouts[1].split()[:2] == ["demo", "3"]
    assert services[1].split()[:2] == ["demo", "ClusterIP"]
    assert both.splitlines() == ["rollout.argoproj.io/demo", "service/demo"]


async def test_patch_scale_label_and_wait(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=ROLLOUT)

    patched = await kubectl("patch", "rollout", "demo", "--type=merge", "-p", '{"spec":{"paused":true}}')
    await kubectl("patch", "rollout", "demo", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":3}}')
    await kubectl("scale", "rollout", "demo", "--replicas=5")
    await kubectl("label", "rollout", "demo", "tier=web")
    waited = await kubectl("wait", "--for=jsonpath={.spec.replicas}=5", "rollout/demo", "--timeout=5s")
    seen = json.loads(await kubectl("get", "rollout", "demo", "-o", "json"))

    assert patched == "rollout.argoproj.io/demo patched\n"
    assert waited == "rollout.argoproj.io/demo condition met\n"
    assert (seen["spec"]["paused"], seen["spec"]["replicas"], seen["status"]) == (True, 5, {"replicas": 3})
    assert seen["metadata"]["labels"] == {"app": "demo", "tier": "web"}


async def test_a_status_of_ours_is_kept_whole_and_shown_and_waited_for(kubectl: Kubectl) -> None:
    """The definition is the reference's: what it does not know of a status is gone after the write."""
    status = LIVES["routed"]().moments["grown"]["status"]
    await kubectl("create", "-f", "-", stdin=ROLLOUT)

    await kubectl("patch", "rollout", "demo", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    waited = await kubectl("wait", "--for=condition=Healthy", "rollout/demo", "--timeout=5s")
    row = (await kubectl("get", "rollout", "demo", "--no-headers")).split()
    kept = json.loads(await kubectl("get", "rollout", "demo", "-o", "json"))["status"]

    assert waited == "rollout.argoproj.io/demo condition met\n"
    assert row[:5] == ["demo", "3", *(str(status[key]) for key in ("replicas", "updatedReplicas", "availableReplicas"))]
    assert kept == status


async def test_describe_and_explain_read_the_schema(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=[ROLLOUT, SERVICE])

    described = await kubectl("describe", "rollout", "demo")
    service = await kubectl("describe", "service", "demo")
    explained = await kubectl("explain", "rollout.spec.strategy")

    assert "Set Weight:  20" in described
    assert ["TargetPort:", "8080/TCP"] in [line.split() for line in service.splitlines()]
    assert "blueGreen\t<Object>" in explained


async def test_mistakes_are_refused_before_anything_is_stored(kubectl: Kubectl, server: ApiServer) -> None:
    wrong = json.loads(json.dumps(ROLLOUT))
    wrong["spec"]["strategy"]["canary"]["steps"] = [{"setWait": 20}]
    code, printed = await kubectl.run("apply", "-f", "-", stdin=wrong)

    assert (code, 'unknown field "spec.strategy.canary.steps[0].setWait"' in printed) == (1, True)
    rollouts = server.store.registry.kind("argoproj.io/v1alpha1", "Rollout")
    assert rollouts is not None
    assert server.store.scan(rollouts) == []


async def test_delete_removes_and_waits_for_it(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=[ROLLOUT, SERVICE])

    printed = await kubectl("delete", "rollout/demo", "service/demo", "--timeout=10s")
    code, missing = await kubectl.run("get", "rollout", "demo")

    assert printed.count("deleted") == 2
    assert (code, missing) == (1, 'Error from server (NotFound): rollouts.argoproj.io "demo" not found\n')


async def test_get_watch_prints_changes_as_they_happen(kubectl: Kubectl, server: ApiServer, tmp_path: Path) -> None:
    await kubectl("create", "-f", "-", stdin=ROLLOUT)
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL), "--server", server.url, "get", "rollouts", "--watch", "--no-headers",
        stdout=asyncio.subprocess.PIPE, env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(15):
            first = (await process.stdout.readline()).split()[:2]
            await kubectl("scale", "rollout", "demo", "--replicas=9")
            second = (await process.stdout.readline()).split()[:2]
    finally:
        process.terminate()
        await process.wait()

    assert (first, second) == ([b"demo", b"3"], [b"demo", b"9"])
