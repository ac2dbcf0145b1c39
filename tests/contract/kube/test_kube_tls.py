"""Is the right server trusted, and do we prove who we are?"""

import base64
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from clocks import VirtualClock
from kube_fakes import WIDGETS
from kube_server import KubeServer
from tiphys.kube.client import Client
from tiphys.kube.config import Overrides, load_connection
from tiphys.kube.connection import Connection
from tiphys.kube.credentials import Certificate, Credential, CredentialFiles, FileCredentials, FixedCredentials, Secret
from tiphys.kube.errors import CredentialError, UnreachableError
from tiphys.kube.tls import Tls


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    chain: Path
    key: Path

    @property
    def certificate(self) -> Certificate:
        return Certificate(self.chain.read_bytes(), Secret(self.key.read_text()))


class Authority:
    """A certificate authority as cluster tools make them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self.pair = Pair(folder / "ca.crt", folder / "ca.key")
        folder.mkdir()
        _openssl("req", "-x509", *_key(self.pair), "-out", self.pair.chain, "-days", "2", "-subj", "/CN=cluster")

    @property
    def pem(self) -> bytes:
        return self.pair.chain.read_bytes()

    def issue(self, name: str, *, names: str) -> Pair:
        self._made += 1
        made = Pair(self._folder / f"{self._made}.crt", self._folder / f"{self._made}.key")
        request, extensions = self._folder / "request", self._folder / "extensions"
        extensions.write_text(f"subjectAltName={names}\n")
        _openssl("req", "-new", *_key(made), "-out", request, "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.pair.chain, "-CAkey", self.pair.key, "-CAcreateserial",
            "-out", made.chain, "-days", "2", "-extfile", extensions,
        )  # fmt: skip
        return made


def _key(pair: Pair) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pair.key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "ca")


@pytest.fixture(scope="module")
def server_context(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("server", names="IP:127.0.0.1,DNS:kube.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.pair.chain)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(pair.chain, pair.key)
    return context


async def test_a_certificate_of_the_named_authority_is_trusted(authority: Authority, server_context: ssl.SSLContext) -> None:
    tls = Tls(authority=authority.pem)
    async with KubeServer().running(server_context) as server, Client(Connection(server=server.url, tls=tls)) as kube:
        assert await kube.list(WIDGETS) == []


async def test_any_other_certificate_is_not(server_context: ssl.SSLContext) -> None:
    async with KubeServer().running(server_context) as server, Client(Connection(server=server.url)) as kube:
        with pytest.raises(UnreachableError, match=f"{server.url}: its certificate is not trusted: .*self.signed"):
            await kube.list(WIDGETS)


async def test_a_certificate_for_another_name_is_refused(authority: Authority, server_context: ssl.SSLContext) -> None:
    tls = Tls(authority=authority.pem, server_name="other.example")
    async with KubeServer().running(server_context) as server, Client(Connection(server=server.url, tls=tls)) as kube:
        with pytest.raises(UnreachableError, match="Hostname mismatch"):
            await kube.list(WIDGETS)


async def test_rule_8_the_name_in_the_certificate_may_be_given(authority: Authority, server_context: ssl.SSLContext) -> None:
    tls = Tls(authority=authority.pem, server_name="kube.example")
    async with KubeServer().running(server_context) as server, Client(Connection(server=server.url, tls=tls)) as kube:
        assert await kube.list(WIDGETS) == []


async def test_who_asks_for_no_proof_gets_none(server_context: ssl.SSLContext) -> None:
    async with KubeServer().running(server_context) as server, Client(Connection(server=server.url, tls=Tls(verify=False))) as kube:
        assert await kube.list(WIDGETS) == []


async def test_plain_http_where_tls_is_wanted_is_told_in_one_sentence(authority: Authority) -> None:
    async with KubeServer().running() as server:
        url = server.url.replace("http:", "https:")
        async with Client(Connection(server=url, tls=Tls(authority=authority.pem))) as kube:
            with pytest.raises(UnreachableError, match=f"cannot reach the API server {url}: TLS failed"):
                await kube.list(WIDGETS)


async def test_rule_8_a_client_certificate_from_a_kubeconfig_is_shown(
    authority: Authority, server_context: ssl.SSLContext, tmp_path: Path
) -> None:
    pair = authority.issue("eve", names="DNS:eve")
    async with KubeServer().running(server_context) as server:
        data = {
            "client-certificate-data": base64.b64encode(pair.chain.read_bytes()).decode(),
            "client-key-data": base64.b64encode(pair.key.read_bytes()).decode(),
        }
        cluster = {"server": server.url, "certificate-authority-data": base64.b64encode(authority.pem).decode()}
        (tmp_path / "config").write_text(
            yaml.safe_dump(
                {
                    "current-context": "c",
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": data}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )
        async with Client(load_connection(Overrides(kubeconfig=str(tmp_path / "config")))) as kube:
            await kube.list(WIDGETS)

        assert server.last.common_name == "eve"


async def test_rule_8_a_certificate_that_is_replaced_is_taken_up(
    authority: Authority, server_context: ssl.SSLContext, tmp_path: Path
) -> None:
    clock = VirtualClock()
    first, second = authority.issue("first", names="DNS:a"), authority.issue("second", names="DNS:a")
    mine = Pair(tmp_path / "crt", tmp_path / "key")
    source = FileCredentials(CredentialFiles(chain=mine.chain, key=mine.key), clock)
    async with KubeServer().running(server_context) as server:
        connection = Connection(server=server.url, tls=Tls(authority=authority.pem), credentials=source)
        async with Client(connection) as kube:
            names = []
            for pair in (first, second):
                mine.chain.write_bytes(pair.chain.read_bytes())
                mine.key.write_bytes(pair.key.read_bytes())
                clock.jump(61)
                await kube.list(WIDGETS)
                names.append(server.last.common_name)

    assert names == ["first", "second"]


async def test_a_certificate_that_is_none_is_named_without_its_key(authority: Authority, server_context: ssl.SSLContext) -> None:
    wrong = Certificate(authority.pem, Secret("s3cr3t"))
    async with KubeServer().running(server_context) as server:
        connection = Connection(
            server=server.url, tls=Tls(authority=authority.pem), credentials=FixedCredentials(Credential(certificate=wrong))
        )
        async with Client(connection) as kube:
            with pytest.raises(CredentialError, match="wanted a PEM pair") as caught:
                await kube.list(WIDGETS)

    assert "s3cr3t" not in str(caught.value)


async def test_an_authority_that_is_none_is_named() -> None:
    async with Client(Connection(server="https://127.0.0.1:1", tls=Tls(authority=b"no PEM"))) as kube:
        with pytest.raises(CredentialError, match="the certificate authority: found no PEM certificate"):
            await kube.list(WIDGETS)
