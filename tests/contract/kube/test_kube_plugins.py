"""Do other programs give us credentials, once, in time and without a trace?"""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from clocks import START, VirtualClock
from kube_fakes import WIDGETS
from kube_server import KubeServer
from tiphys.kube.client import Client
from tiphys.kube.connection import Connection
from tiphys.kube.errors import CredentialError
from tiphys.kube.execplugin import API_VERSIONS, ExecCredentials, ExecPlugin

V1, V1BETA1 = API_VERSIONS
SCRIPT = """#!{python}
import json, os, pathlib, sys
calls = pathlib.Path({folder!r}, "calls")
number = len(calls.read_text().splitlines()) if calls.exists() else 0
with calls.open("a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("EXTRA"), json.loads(os.environ["KUBERNETES_EXEC_INFO"])]) + "\\n")
answers = json.loads(pathlib.Path({folder!r}, "answers").read_text())
answer = answers[min(number, len(answers) - 1)]
if isinstance(answer, int):
    print("s3cr3t", file=sys.stderr)
    sys.exit(answer)
print(answer if isinstance(answer, str) else json.dumps(answer))
"""


class Program:
    """A credential plugin that gives the answers it was told, one after the other, and notes each call."""

    def __init__(self, folder: Path, *answers: object) -> None:
        self._folder = folder
        (folder / "answers").write_text(json.dumps(answers))
        self.path = folder / "login"
        self.path.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[list[object]]:
        calls = self._folder / "calls"
        return [json.loads(text) for text in calls.read_text().splitlines()] if calls.exists() else []


def answer(token: str | None = None, version: str = V1, **status: object) -> dict[str, object]:
    if token is not None:
        status["token"] = token
    return {"apiVersion": version, "kind": "ExecCredential", "status": status}


def credentials(program: Program, clock: VirtualClock | None = None, *, version: str = V1, hint: str = "") -> ExecCredentials:
    plugin = ExecPlugin(
        api_version=version,
        command=str(program.path),
        args=("get", "token"),
        env={"EXTRA": "yes"},
        install_hint=hint,
        interactive="Never",
        cluster={"server": "https://one:6443", "config": {"a": 1}},
    )
    return ExecCredentials(plugin, clock or VirtualClock(), environ={"PATH": "/usr/bin:/bin"})


async def token(source: ExecCredentials) -> str:
    authorization = (await source.current()).authorization
    return authorization.reveal() if authorization else ""


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_rule_8_both_versions_give_a_token_and_a_certificate(tmp_path: Path, version: str) -> None:
    program = Program(tmp_path, answer("t", version, clientCertificateData="CERT", clientKeyData="KEY"))

    found = await credentials(program, version=version).current()

    assert found.authorization is not None
    assert found.certificate is not None
    assert (found.authorization.reveal(), found.certificate.chain, found.certificate.key.reveal()) == ("Bearer t", b"CERT", "KEY")
    info = {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://one:6443", "config": {"a": 1}}},
    }
    assert program.calls == [[["get", "token"], "yes", info]]


async def test_rule_8_a_credential_is_kept_until_shortly_before_it_expires(tmp_path: Path) -> None:
    clock = VirtualClock()
    expiry = (START + timedelta(minutes=10)).isoformat()
    program = Program(tmp_path, answer("first", expirationTimestamp=expiry), answer("second"))
    source = credentials(program, clock)

    assert await token(source) == "Bearer first"
    clock.jump(585)
    assert await token(source) == "Bearer first"
    clock.jump(6)
    assert await token(source) == "Bearer second"
    clock.jump(1_000_000)
    assert await token(source) == "Bearer second"
    assert len(program.calls) == 2


async def test_rule_8_who_comes_while_the_plugin_runs_gets_the_same_answer(tmp_path: Path) -> None:
    program = Program(tmp_path, answer("first"), answer("second"))
    source = credentials(program)

    assert set(await asyncio.gather(*(token(source) for _ in range(10)))) == {"Bearer first"}
    assert len(program.calls) == 1

    refused = await source.current()
    assert all(await asyncio.gather(*(source.renew(refused) for _ in range(10))))
    assert await token(source) == "Bearer second"
    assert len(program.calls) == 2


async def test_rule_8_the_plugin_runs_beside_the_loop(tmp_path: Path) -> None:
    program = Program(tmp_path, answer("t"))
    turns = 0
    asking = asyncio.create_task(credentials(program).current())

    while not asking.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 100


async def test_rule_8_a_refused_token_asks_the_plugin_again(tmp_path: Path) -> None:
    program = Program(tmp_path, answer("old"), answer("new"))
    async with KubeServer().running() as server:
        server.tokens = {"new"}
        async with Client(Connection(server=server.url, credentials=credentials(program))) as kube:
            assert await kube.list(WIDGETS) == []

    assert len(program.calls) == 2


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (3, "it ended with code 3"),
        ("s3cr3t but no JSON", "found no ExecCredential"),
        (
            answer("s3cr3t", "client.authentication.k8s.io/v1alpha1"),
            "found apiVersion 'client.authentication.k8s.io/v1alpha1', wanted",
        ),
        (answer(), "found neither a token nor a client certificate"),
        (answer(clientCertificateData="s3cr3t"), "found half a pair"),
    ],
)
async def test_a_plugin_that_fails_is_named_with_its_hint_and_without_its_words(tmp_path: Path, said: object, problem: str) -> None:
    source = credentials(Program(tmp_path, said), hint="brew install login")

    with pytest.raises(CredentialError, match=problem) as caught:
        await source.current()

    assert str(tmp_path / "login") in str(caught.value)
    assert "(brew install login)" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


async def test_a_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    program = Program(tmp_path, answer("t"))
    program.path.unlink()

    with pytest.raises(CredentialError, match="login: no such file"):
        await credentials(program).current()


async def test_a_plugin_that_needs_a_person_says_so_where_there_is_none(tmp_path: Path) -> None:
    program = Program(tmp_path, answer("t"))
    plugin = ExecPlugin(api_version=V1, command=str(program.path), interactive="Always")

    with pytest.raises(CredentialError, match="wants to talk to a person"):
        await ExecCredentials(plugin, VirtualClock(), environ={}).current()
