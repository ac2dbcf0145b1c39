"""As whom does the configuration want us to come?"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from yarl import URL

from tiphys.kube.clock import Clock
from tiphys.kube.credentials import (
    Certificate,
    Credential,
    CredentialFiles,
    CredentialSource,
    FileCredentials,
    FixedCredentials,
    Secret,
    bearer,
)
from tiphys.kube.errors import ConfigError
from tiphys.kube.execplugin import API_VERSIONS, ExecCredentials, ExecPlugin, Interactive
from tiphys.kube.kubeconfig import Cluster, Exec, Found, User, inline
from tiphys.kube.tls import Tls

if TYPE_CHECKING:
    from tiphys.kube.config import Overrides

CLUSTER_EXTENSION = "client.authentication.k8s.io/exec"


def credentials_of(
    said: "Overrides",
    user: Found[User],
    *,
    cluster: Found[Cluster],
    server: str,
    tls: Tls,
    environ: Mapping[str, str],
    clock: Clock,
) -> CredentialSource:
    """
    Give the source of our credentials: what the command line says, then the user's own fields, then its plugin.

    Raises:
        ConfigError: the fields contradict each other or are not readable.

    """
    entry = user.entry
    files = _files(said, user)
    known = files.fixed.authorization or files.token or files.fixed.certificate or files.chain
    if entry.exec is not None and not said.token and not (said.client_certificate or said.client_key):
        return ExecCredentials(_plugin(entry.exec, user, _cluster_info(cluster.entry, server=server, tls=tls)), clock, environ=environ)
    if entry.auth_provider is not None and not known:
        raise ConfigError(
            file=str(user.file),
            field="auth-provider",
            found="a kind of login that clients dropped",
            wanted="exec, a token or a certificate",
        )
    if files.token or files.chain or files.key:
        return FileCredentials(files, clock)
    return FixedCredentials(files.fixed)


def impersonation(said: "Overrides", user: User) -> tuple[tuple[str, str], ...]:
    """Give the headers that ask to act as somebody else."""
    name = said.impersonate_user or user.as_
    if not name:
        return ()
    groups = said.impersonate_groups or tuple(user.as_groups or ())
    uid = said.impersonate_uid or user.as_uid
    extra = [(f"Impersonate-Extra-{key}", value) for key, values in (user.as_user_extra or {}).items() for value in values]
    return (
        ("Impersonate-User", name),
        *(("Impersonate-Group", group) for group in groups),
        *((("Impersonate-Uid", uid),) if uid else ()),
        *extra,
    )


def plain_server(server: str, *, file: str) -> str:
    """
    Give the server's address as we use it.

    Raises:
        ConfigError: it is no http or https URL, or has a password in it.

    """
    wanted = "a URL such as https://host:6443"
    text = server if "://" in server else f"https://{server}"
    try:
        url = URL(text)
    except ValueError:
        raise ConfigError(file=file, field="server", found="no URL", wanted=wanted) from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(file=file, field="server", found=f"{url.scheme}://{url.host or ''}", wanted=wanted)
    if url.user or url.password:
        raise ConfigError(file=file, field="server", found="a user or password in the URL", wanted=wanted)
    return text.rstrip("/")


def _files(said: "Overrides", user: Found[User]) -> CredentialFiles:
    entry = user.entry
    authorization: Secret | None = None
    token_file: Path | None = None
    if said.token:
        authorization = bearer(said.token)
    elif entry.token_file:
        # The file wins over the text beside it: it is the one that is kept fresh.
        token_file = user.path(entry.token_file)
    elif entry.token:
        authorization = bearer(entry.token)
    elif entry.username:
        pair = base64.b64encode(f"{entry.username}:{entry.password}".encode()).decode()
        authorization = Secret(f"Basic {pair}")
    chain, chain_file = _part(said.client_certificate, entry.client_certificate_data, entry.client_certificate, user, "client-certificate")
    key, key_file = _part(said.client_key, entry.client_key_data, entry.client_key, user, "client-key")
    if bool(chain or chain_file) != bool(key or key_file):
        missing = "client-key" if chain or chain_file else "client-certificate"
        raise ConfigError(file=str(user.file), field=missing, found="nothing", wanted="both client-certificate and client-key, or neither")
    certificate = Certificate(chain, Secret(key.decode("utf-8", "replace"))) if chain or key else None
    return CredentialFiles(token=token_file, chain=chain_file, key=key_file, fixed=Credential(authorization, certificate))


def _part(named: str | None, data: str, path: str, user: Found[User], field: str) -> tuple[bytes, Path | None]:
    """Give the bytes of one half of a certificate, or the file it lies in; the inline form wins over the file, as in kubectl."""
    if named:
        return b"", Path(named)
    if data:
        return inline(data, file=user.file, field=f"{field}-data"), None
    return b"", user.path(path) if path else None


def _plugin(found: Exec, user: Found[User], cluster: Mapping[str, Any]) -> ExecPlugin:
    file, wanted = str(user.file), " or ".join(API_VERSIONS)
    if found.api_version not in API_VERSIONS:
        raise ConfigError(file=file, field="exec.apiVersion", found=repr(found.api_version), wanted=wanted)
    if not found.command:
        raise ConfigError(file=file, field="exec.command", found="nothing", wanted="a program")
    mode = found.interactive_mode or "IfAvailable"
    if mode not in {"Never", "IfAvailable", "Always"}:
        raise ConfigError(file=file, field="exec.interactiveMode", found=repr(mode), wanted="Never, IfAvailable or Always")
    return ExecPlugin(
        api_version=found.api_version,
        # A name is looked for in PATH; a path is relative to the file, as in kubectl.
        command=str(user.path(found.command)) if os.sep in found.command else found.command,
        args=tuple(found.args or ()),
        env={variable.name: variable.value for variable in found.env or ()},
        install_hint=found.install_hint,
        interactive=cast("Interactive", mode),
        cluster=cluster if found.provide_cluster_info else None,
    )


def _cluster_info(cluster: Cluster, *, server: str, tls: Tls) -> Mapping[str, Any]:
    info: dict[str, Any] = {"server": server}
    if tls.server_name:
        info["tls-server-name"] = tls.server_name
    if not tls.verify:
        info["insecure-skip-tls-verify"] = True
    if tls.authority:
        info["certificate-authority-data"] = base64.b64encode(tls.authority).decode()
    if cluster.proxy_url:
        info["proxy-url"] = cluster.proxy_url
    config = next((item.extension for item in cluster.extensions or () if item.name == CLUSTER_EXTENSION), None)
    if config is not None:
        info["config"] = config
    return info
