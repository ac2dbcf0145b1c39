"""What do kubeconfig files say, and which of several counts?"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from tiphys.kube.errors import ConfigError

E = TypeVar("E")


class _Entry(msgspec.Struct, frozen=True, rename="kebab"):
    """Base of what the file maps names to; unknown fields are left alone."""


class Extension(msgspec.Struct, frozen=True):
    """Something another program keeps in the file."""

    name: str
    extension: Any = None


class Cluster(_Entry, frozen=True):
    """A server and how it proves who it is."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[Extension] | None = None


class EnvVar(msgspec.Struct, frozen=True):
    """One variable for a credential plugin."""

    name: str
    value: str


class Exec(msgspec.Struct, frozen=True, rename="camel"):
    """A program that gives credentials."""

    command: str
    api_version: str = ""
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class User(_Entry, frozen=True):
    """Who we are."""

    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    exec: Exec | None = None
    auth_provider: Any = None
    as_: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None


class Context(_Entry, frozen=True):
    """A user on a cluster."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class NamedCluster(msgspec.Struct, frozen=True):
    """A cluster under its name."""

    name: str
    cluster: Cluster | None = None


class NamedUser(msgspec.Struct, frozen=True):
    """A user under its name."""

    name: str
    user: User | None = None


class NamedContext(msgspec.Struct, frozen=True):
    """A context under its name."""

    name: str
    context: Context | None = None


class KubeconfigFile(_Entry, frozen=True):
    """One file as it is written."""

    current_context: str | None = ""
    clusters: list[NamedCluster] | None = None
    users: list[NamedUser] | None = None
    contexts: list[NamedContext] | None = None


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """An entry and the file it stands in: paths are relative to that file, and messages name it."""

    entry: E
    file: Path

    def path(self, text: str) -> Path:
        """Give the path that *text* in the file means."""
        return self.file.parent / Path(text).expanduser()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """All files taken together: of two entries of one name the first counts, whole; so does the first current-context."""

    files: tuple[Path, ...] = ()
    current_context: str = ""
    clusters: Mapping[str, Found[Cluster]]
    users: Mapping[str, Found[User]]
    contexts: Mapping[str, Found[Context]]

    @property
    def shown(self) -> str:
        """The files, for messages."""
        return ":".join(map(str, self.files)) or "no kubeconfig"


def read_all(paths: Iterable[Path], *, must_exist: bool) -> Kubeconfig:
    """
    Read and merge the files at *paths*, in order of precedence.

    Raises:
        ConfigError: a file is no kubeconfig, or it is missing although it *must_exist*.

    """
    merged = Kubeconfig(clusters={}, users={}, contexts={})
    for path in paths:
        file = read_one(path, must_exist=must_exist)
        if file is not None:
            merged = replace(
                merged,
                files=(*merged.files, path),
                current_context=merged.current_context or file.current_context or "",
                clusters={**{item.name: Found(item.cluster or Cluster(), path) for item in file.clusters or ()}, **merged.clusters},
                users={**{item.name: Found(item.user or User(), path) for item in file.users or ()}, **merged.users},
                contexts={**{item.name: Found(item.context or Context(), path) for item in file.contexts or ()}, **merged.contexts},
            )
    return merged


def read_one(path: Path, *, must_exist: bool) -> KubeconfigFile | None:
    """
    Read one file; None where it is not there and need not be.

    Raises:
        ConfigError: it is no kubeconfig; the text names the field, never a value.

    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        if not must_exist:
            return None
        raise ConfigError(file=str(path), field="", found="no such file", wanted="a kubeconfig file") from None
    except (OSError, UnicodeDecodeError) as error:
        found = (error.strerror or "unreadable") if isinstance(error, OSError) else "no text"
        raise ConfigError(file=str(path), field="", found=found.lower(), wanted="a kubeconfig file") from None
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The parser's own message quotes the line, which may hold a token.
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else ""
        raise ConfigError(file=str(path), field=line, found="a mistake in the YAML", wanted="a kubeconfig file") from None
    try:
        return msgspec.convert(plain or {}, KubeconfigFile)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        wanted, _, found = problem.partition(", got ")
        field = where.rstrip("`").lstrip(".")
        raise ConfigError(
            file=str(path),
            field=field,
            found=found or problem.lower(),
            wanted=wanted.removeprefix("Expected ") if found else "a kubeconfig",
        ) from None


def inline(data: str, *, file: Path, field: str) -> bytes:
    """
    Give the bytes of a base64 field.

    Raises:
        ConfigError: it is no base64.

    """
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(file=str(file), field=field, found="text that is no base64", wanted="PEM encoded as base64") from None
