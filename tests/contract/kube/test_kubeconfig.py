"""Is the server found that the user means, and is every mistake named without its secrets?"""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from clocks import VirtualClock
from tiphys.kube.config import Overrides, in_cluster, load_connection
from tiphys.kube.connection import Connection
from tiphys.kube.credentials import Credential, FileCredentials, bearer
from tiphys.kube.errors import ConfigError, CredentialError
from tiphys.kube.execplugin import ExecCredentials

SECRET = "s3cr3t-t0k3n"  # noqa: S105 - what must never be seen


def kubeconfig(
    cluster: Mapping[str, object] | None = None,
    *,
    server: str = "https://one:6443",
    user: Mapping[str, object] | None = None,
    name: str = "one",
) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": name, "user": user or {"token": SECRET}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
    }


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def load(path: Path | None, overrides: Overrides | None = None, **environ: str) -> Connection:
    environ = {"HOME": "/nonexistent", **environ}
    if path is not None:
        environ["KUBECONFIG"] = str(path)
    return load_connection(overrides, environ=environ, service_account=Path("/nonexistent"), clock=VirtualClock())


async def shown(connection: Connection) -> str:
    """Give the Authorization header that requests carry."""
    authorization = (await connection.credentials.current()).authorization
    return authorization.reveal() if authorization else ""


async def test_a_context_names_server_user_and_namespace(tmp_path: Path) -> None:
    connection = load(write(tmp_path / "config", kubeconfig()))

    assert (connection.server, connection.namespace) == ("https://one:6443", "ns-one")
    assert await shown(connection) == f"Bearer {SECRET}"
    assert "user 'one' in" in connection.origin


async def test_of_several_files_the_first_to_name_something_counts_whole(tmp_path: Path) -> None:
    first = write(tmp_path / "first", {**kubeconfig(server="https://first:1"), "contexts": [], "current-context": ""})
    second = kubeconfig({"tls-server-name": "second"}, server="https://second:2", user={"token": "second", "tokenFile": "x"})
    second["users"] = [*second["users"], {"name": "two", "user": {"token": "two"}}]  # type: ignore[misc] # a list of entries
    missing, third = tmp_path / "missing", write(tmp_path / "third", kubeconfig(name="three"))
    files = ":".join(map(str, [missing, first, write(tmp_path / "second", second), third]))

    connection = load(None, KUBECONFIG=files)
    other = load(None, Overrides(context="three"), KUBECONFIG=files)
    user = load(None, Overrides(user="two"), KUBECONFIG=files)

    assert (connection.server, connection.tls.server_name, await shown(connection)) == ("https://first:1", "", f"Bearer {SECRET}")
    assert other.namespace == "ns-three"
    assert await shown(user) == "Bearer two"


def test_the_command_line_outranks_the_environment_and_that_the_home_folder(tmp_path: Path) -> None:
    said = write(tmp_path / "said", kubeconfig(server="https://said:1"))
    environment = write(tmp_path / "env", kubeconfig(server="https://env:1"))
    write(tmp_path / ".kube" / "config", kubeconfig(server="https://home:1"))

    assert load(environment, Overrides(kubeconfig=str(said))).server == "https://said:1"
    assert load(environment, HOME=str(tmp_path)).server == "https://env:1"
    assert load(None, HOME=str(tmp_path)).server == "https://home:1"


async def test_every_override_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "config", kubeconfig(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}}))

    connection = load(
        path,
        Overrides(
            server="https://other:1", token="t", namespace="n", tls_server_name="name", insecure_skip_tls_verify=True,  # noqa: S106 - no secret
            impersonate_user="eve", impersonate_groups=("a", "b"), impersonate_uid="7", proxy_url="http://proxy:3128",
        ),
    )  # fmt: skip

    assert (connection.server, connection.namespace, await shown(connection)) == ("https://other:1", "n", "Bearer t")
    assert (connection.tls.server_name, connection.tls.verify) == ("name", False)
    assert connection.headers == (
        ("Impersonate-User", "eve"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
    )
    assert str(connection.proxy) == "http://proxy:3128"


def test_a_server_alone_is_enough() -> None:
    assert load(None, Overrides(server="http://127.0.0.1:8001/")).server == "http://127.0.0.1:8001"


async def test_rule_8_a_token_file_is_read_again_every_minute_and_when_it_is_refused(tmp_path: Path) -> None:
    token = write(tmp_path / "token", "first\n")
    clock = VirtualClock()
    path = write(tmp_path / "config", kubeconfig(user={"tokenFile": "token", "token": "ignored"}))
    connection = load_connection(environ={"KUBECONFIG": str(path)}, clock=clock)

    assert isinstance(connection.credentials, FileCredentials)
    assert await shown(connection) == "Bearer first"

    token.write_text("second")
    clock.jump(59)
    assert await shown(connection) == "Bearer first"
    clock.jump(2)
    assert await shown(connection) == "Bearer second"

    token.write_text("third")
    assert await connection.credentials.renew(Credential(bearer("second")))
    assert await shown(connection) == "Bearer third"
    assert not await connection.credentials.renew(Credential(bearer("third")))


async def test_rule_8_a_token_file_that_is_gone_for_a_moment_does_not_matter(tmp_path: Path) -> None:
    token = write(tmp_path / "token", "first")
    clock = VirtualClock()
    path = write(tmp_path / "config", kubeconfig(user={"tokenFile": "token"}))
    connection = load_connection(environ={"KUBECONFIG": str(path)}, clock=clock)
    assert await shown(connection) == "Bearer first"

    token.unlink()
    clock.jump(61)

    assert await shown(connection) == "Bearer first"


@pytest.mark.parametrize(("content", "found"), [(None, "no such file"), ("", "an empty file")])
async def test_a_token_file_without_token_is_named(tmp_path: Path, content: str | None, found: str) -> None:
    if content is not None:
        write(tmp_path / "token", content)
    connection = load(write(tmp_path / "config", kubeconfig(user={"tokenFile": "token"})))

    with pytest.raises(CredentialError, match=f"token: found {found}.*, wanted a token"):
        await connection.credentials.current()


async def test_rule_8_in_a_pod_the_service_account_counts(tmp_path: Path) -> None:
    write(tmp_path / "token", "first")
    write(tmp_path / "namespace", "team\n")
    write(tmp_path / "ca.crt", "PEM")
    clock = VirtualClock()
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": "/nonexistent"}

    connection = load_connection(environ=environ, service_account=tmp_path, clock=clock)

    assert (connection.server, connection.namespace, connection.tls.authority) == ("https://10.0.0.1:443", "team", b"PEM")
    assert await shown(connection) == "Bearer first"
    (tmp_path / "token").write_text("second")
    clock.jump(61)
    assert await shown(connection) == "Bearer second"


def test_an_ipv6_service_address_is_put_in_brackets(tmp_path: Path) -> None:
    write(tmp_path / "token", "first")

    assert in_cluster(environ={"KUBERNETES_SERVICE_HOST": "fd00::1"}, service_account=tmp_path).server == "https://[fd00::1]:443"


def test_a_kubeconfig_outranks_the_service_account(tmp_path: Path) -> None:
    write(tmp_path / "token", "first")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": str(write(tmp_path / "config", kubeconfig()))}

    assert load_connection(environ=environ, service_account=tmp_path).server == "https://one:6443"


async def test_a_user_name_and_password_are_sent_as_such(tmp_path: Path) -> None:
    connection = load(write(tmp_path / "config", kubeconfig(user={"username": "eve", "password": "p:w"})))

    assert await shown(connection) == "Basic " + base64.b64encode(b"eve:p:w").decode()


async def test_inline_certificates_are_decoded_and_files_are_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    data = {name: base64.b64encode(name.encode()).decode() for name in ("ca", "cert", "key")}
    inline = {"client-certificate-data": data["cert"], "client-key-data": data["key"]}
    first = load(write(tmp_path / "inline", kubeconfig({"certificate-authority-data": data["ca"]}, user=inline)))
    for name in data:
        write(tmp_path / "pki" / name, f"file {name}")
    files = {"client-certificate": "pki/cert", "client-key": "pki/key"}
    second = load(write(tmp_path / "files", kubeconfig({"certificate-authority": "pki/ca"}, user=files)))

    one, two = (await first.credentials.current()).certificate, (await second.credentials.current()).certificate
    assert one is not None
    assert two is not None
    assert (first.tls.authority, one.chain, one.key.reveal()) == (b"ca", b"cert", "key")
    assert (second.tls.authority, two.chain, two.key.reveal()) == (b"file ca", b"file cert", "file key")


def test_a_plugin_is_taken_as_the_file_describes_it(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "./bin/login", "interactiveMode": "Never"}

    connection = load(write(tmp_path / "config", kubeconfig(user={"exec": plugin})))

    assert isinstance(connection.credentials, ExecCredentials)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clusters: [\n  token: s3cr3t-t0k3n", r"config: line \d: found a mistake in the YAML"),
        ({"users": [{"name": "a", "user": {"token": ["s3cr3t-t0k3n"]}}]}, r"users\[0\].user.token: found `array`, wanted `str`"),
        ({"clusters": "s3cr3t-t0k3n"}, r"clusters: found `str`, wanted `array \| null`"),
        ({"current-context": "gone", "contexts": []}, r"current-context: found 'gone', wanted one of the contexts of .* \(there: none\)"),
        ({**kubeconfig(), "current-context": ""}, "current-context: found none, wanted one, or --context NAME"),
        ({**kubeconfig(), "clusters": []}, "context one: cluster: found 'one', wanted one of the clusters"),
        ({**kubeconfig(), "users": []}, "context one: user: found 'one', wanted one of the users"),
        (kubeconfig(server=""), r"clusters\[one\].cluster.server: found nothing, wanted a URL"),
        (kubeconfig(server="ftp://x"), "server: found ftp://x, wanted a URL"),
        (kubeconfig(server="https://me:s3cr3t-t0k3n@x"), "server: found a user or password in the URL"),
        (kubeconfig(user={"client-certificate-data": "s3cr3t-t0k3n!", "client-key-data": "x"}), "cate-data: found text that is no base64"),
        (kubeconfig(user={"client-key-data": "eA=="}), "client-certificate: found nothing, wanted both"),
        (kubeconfig(user={"auth-provider": {"name": "gcp"}}), "auth-provider: found a kind of login that clients dropped"),
        (kubeconfig(user={"exec": {"apiVersion": "v1alpha1", "command": "x"}}), "exec.apiVersion: found 'v1alpha1'"),
        (kubeconfig({"proxy-url": "socks5://me:s3cr3t-t0k3n@x:1"}), "proxy-url: found a socks5 proxy, wanted http"),
        (kubeconfig({"certificate-authority": "gone.pem"}), "certificate-authority: found .*gone.pem, no such file"),
        (kubeconfig({"certificate-authority-data": "eA==", "insecure-skip-tls-verify": True}), "found true beside a certificate auth"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_without_its_secret(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(write(tmp_path / "config", content))

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_unknown_context_of_the_command_line_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--context: found 'two', wanted one of the contexts of .* \(there: one\)"):
        load(write(tmp_path / "config", kubeconfig()), Overrides(context="two"))


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing: found no such file, wanted a kubeconfig file"):
        load(None, Overrides(kubeconfig=str(tmp_path / "missing")))


def test_without_any_configuration_it_is_said_what_was_looked_for() -> None:
    with pytest.raises(ConfigError, match=r"--kubeconfig, KUBECONFIG and ~/.kube/config: found no kubeconfig, wanted one, or --server"):
        load(None)


async def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    user = {"token": SECRET, "client-certificate-data": "eA==", "client-key-data": base64.b64encode(SECRET.encode()).decode()}
    connection = load(write(tmp_path / "config", kubeconfig({"proxy-url": f"http://me:{SECRET}@proxy:1"}, user=user)))

    texts = [repr(connection), repr(await connection.credentials.current()), connection.proxy_shown, repr(Overrides(token=SECRET))]

    assert not [text for text in texts if SECRET in text]
    assert connection.proxy_shown == "http://proxy:1"


@pytest.mark.parametrize(
    ("server", "exceptions", "proxied"),
    [
        ("https://one:6443", "", True),
        ("https://one:6443", "*", False),
        ("https://api.one.example:6443", "one.example", False),
        ("https://api.one.example:6443", ".one.example", False),
        ("https://none.example:6443", "one.example", True),
        ("https://one:6443", "one:6443", False),
        ("https://one:6443", "one:1", True),
        ("https://10.1.2.3:6443", "10.0.0.0/8", False),
        ("https://10.1.2.3:6443", "192.168.0.0/16,strange/99", True),
        ("https://127.0.0.1:6443", "", False),
        ("https://localhost:6443", "", False),
        ("http://one:8080", "", False),
    ],
)
def test_the_environment_may_name_a_proxy_and_exceptions(tmp_path: Path, server: str, exceptions: str, *, proxied: bool) -> None:
    path = write(tmp_path / "config", kubeconfig(server=server))

    connection = load(path, HTTPS_PROXY="proxy:3128", no_proxy=exceptions)

    assert str(connection.proxy) == ("http://proxy:3128" if proxied else "None")
