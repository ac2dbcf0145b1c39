"""Which server are we to talk to, and as whom? (command line, kubeconfig files, service account)"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiphys.kube import kubeconfig
from tiphys.kube.clock import Clock, SystemClock
from tiphys.kube.connection import Connection
from tiphys.kube.credentials import CredentialFiles, FileCredentials
from tiphys.kube.errors import ConfigError
from tiphys.kube.identity import credentials_of, impersonation, plain_server
from tiphys.kube.kubeconfig import Cluster, Context, Found, Kubeconfig, User
from tiphys.kube.proxy import proxy_for
from tiphys.kube.tls import Tls

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says; each value that is given outranks the files."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    server: str | None = None
    token: str | None = field(default=None, repr=False)
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure_skip_tls_verify: bool | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    impersonate_user: str | None = None
    impersonate_groups: tuple[str, ...] = ()
    impersonate_uid: str | None = None


def load_connection(
    overrides: Overrides | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
    clock: Clock | None = None,
) -> Connection:
    """
    Find out which server to talk to and how.

    The order is kubectl's: `--kubeconfig`, then the files of `KUBECONFIG`, then `~/.kube/config`; where none of them is there and nothing
    else names a server, the service account of the pod we run in.

    Raises:
        ConfigError: something is missing or wrong; the text names file and field, what was found and what is wanted.

    """
    said = overrides or Overrides()
    environ = os.environ if environ is None else environ
    clock = clock or SystemClock()
    files = read_kubeconfig(said, environ)
    if not files.files and not said.server and in_a_pod(environ, service_account):
        return in_cluster(environ=environ, service_account=service_account, namespace=said.namespace, clock=clock)
    return _connection(said, files, environ, clock)


def read_kubeconfig(overrides: Overrides | None = None, environ: Mapping[str, str] | None = None) -> Kubeconfig:
    """
    Read the kubeconfig files that count, merged: for shell completion and for listing contexts too.

    Raises:
        ConfigError: a file is no kubeconfig, or `--kubeconfig` names none.

    """
    environ = os.environ if environ is None else environ
    if overrides and overrides.kubeconfig:
        return kubeconfig.read_all([Path(overrides.kubeconfig).expanduser()], must_exist=True)
    if environ.get("KUBECONFIG"):
        paths = [Path(part).expanduser() for part in environ["KUBECONFIG"].split(os.pathsep) if part]
        return kubeconfig.read_all(paths, must_exist=False)
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return kubeconfig.read_all([home / ".kube" / "config"], must_exist=False)


def in_a_pod(environ: Mapping[str, str] | None = None, service_account: Path = SERVICE_ACCOUNT) -> bool:
    """Say whether a service account's token and a server's address are there."""
    environ = os.environ if environ is None else environ
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (service_account / "token").exists()


def in_cluster(
    *,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
    namespace: str | None = None,
    clock: Clock | None = None,
) -> Connection:
    """
    Talk to the cluster we run in, as the pod's service account.

    Raises:
        ConfigError: we do not run in a pod, or it has no service account.

    """
    environ = os.environ if environ is None else environ
    if not in_a_pod(environ, service_account):
        raise ConfigError(
            file="this process", field="", found="no service account", wanted="to run in a pod, with KUBERNETES_SERVICE_HOST and a token"
        )
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT") or "443"
    authority, own = service_account / "ca.crt", service_account / "namespace"
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace or environ.get("POD_NAMESPACE") or (own.read_text().strip() if own.exists() else "") or "default",
        tls=Tls(authority=authority.read_bytes() if authority.exists() else None),
        credentials=FileCredentials(CredentialFiles(token=service_account / "token"), clock or SystemClock()),
        origin=f"the service account in {service_account}",
    )


def _connection(said: Overrides, files: Kubeconfig, environ: Mapping[str, str], clock: Clock) -> Connection:
    context = _context(said, files)
    cluster = _cluster(said, files, context)
    user = _user(said, files, context)
    server = plain_server(said.server or cluster.entry.server, file=str(cluster.file) if not said.server else "--server")
    tls = _tls(said, cluster)
    return Connection(
        server=server,
        namespace=said.namespace or context.entry.namespace or "default",
        tls=tls,
        credentials=credentials_of(said, user, cluster=cluster, server=server, tls=tls, environ=environ, clock=clock),
        proxy=proxy_for(server, said.proxy_url or cluster.entry.proxy_url, environ, file=str(cluster.file)),
        headers=impersonation(said, user.entry),
        origin="--token" if said.token else f"user {said.user or context.entry.user!r} in {user.file}",
    )


def _context(said: Overrides, files: Kubeconfig) -> Found[Context]:
    name = said.context or files.current_context
    found = files.contexts.get(name)
    if found is not None:
        return found
    nowhere = Path(files.shown)
    if name:
        known = ", ".join(sorted(files.contexts)) or "none"
        where = "--context" if said.context else f"{files.shown}: current-context"
        raise ConfigError(file=where, field="", found=repr(name), wanted=f"one of the contexts of {files.shown} (there: {known})")
    if not said.server and not said.cluster:
        if files.files:
            raise ConfigError(file=files.shown, field="current-context", found="none", wanted="one, or --context NAME")
        raise ConfigError(
            file="--kubeconfig, KUBECONFIG and ~/.kube/config",
            field="",
            found="no kubeconfig",
            wanted="one, or --server, or to run in a pod",
        )
    return Found(Context(), nowhere)


def _cluster(said: Overrides, files: Kubeconfig, context: Found[Context]) -> Found[Cluster]:
    name = said.cluster or context.entry.cluster
    found = files.clusters.get(name)
    if found is None:
        if said.server and not said.cluster:
            return Found(Cluster(), context.file)
        where = "--cluster" if said.cluster else f"{context.file}: context {said.context or files.current_context}: cluster"
        known = ", ".join(sorted(files.clusters)) or "none"
        raise ConfigError(file=where, field="", found=repr(name), wanted=f"one of the clusters of {files.shown} (there: {known})")
    if not found.entry.server and not said.server:
        raise ConfigError(
            file=str(found.file), field=f"clusters[{name}].cluster.server", found="nothing", wanted="a URL such as https://host:6443"
        )
    return found


def _user(said: Overrides, files: Kubeconfig, context: Found[Context]) -> Found[User]:
    name = said.user or context.entry.user
    found = files.users.get(name)
    if found is not None:
        return found
    if name and not said.token:
        where = "--user" if said.user else f"{context.file}: context {said.context or files.current_context}: user"
        known = ", ".join(sorted(files.users)) or "none"
        raise ConfigError(file=where, field="", found=repr(name), wanted=f"one of the users of {files.shown} (there: {known})")
    return Found(User(), context.file)


def _tls(said: Overrides, cluster: Found[Cluster]) -> Tls:
    entry = cluster.entry
    insecure = entry.insecure_skip_tls_verify if said.insecure_skip_tls_verify is None else said.insecure_skip_tls_verify
    authority: bytes | None = None
    if said.certificate_authority:
        authority = authority_file(Path(said.certificate_authority), file="--certificate-authority", field="")
    elif said.insecure_skip_tls_verify:
        authority = None
    elif entry.certificate_authority_data:
        authority = kubeconfig.inline(entry.certificate_authority_data, file=cluster.file, field="certificate-authority-data")
    elif entry.certificate_authority:
        authority = authority_file(cluster.path(entry.certificate_authority), file=str(cluster.file), field="certificate-authority")
    if authority is not None and insecure:
        raise ConfigError(
            file=str(cluster.file),
            field="insecure-skip-tls-verify",
            found="true beside a certificate authority",
            wanted="only one of the two",
        )
    return Tls(authority=authority, server_name=said.tls_server_name or entry.tls_server_name, verify=not insecure)


def authority_file(path: Path, *, file: str, field: str) -> bytes:
    """
    Read a certificate authority.

    Raises:
        ConfigError: it cannot be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        found = f"{path}, {(error.strerror or 'unreadable').lower()}"
        raise ConfigError(file=file, field=field, found=found, wanted="a file with PEM certificates") from None
