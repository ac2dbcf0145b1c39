"""Which routers in other processes may the controller talk to, and how?"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from yarl import URL

from tiphys.kube.errors import ConfigError
from tiphys.traffic.table import BUILT_IN

SECONDS: Final = 5.0
"""How long a router may take for an answer, unless the operator gives it another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """
    One router: its *name* below `plugins`, its base *url*, and how to talk to it.

    *ca_file* holds the authority that its certificate must come from (else the system's), *token_file* what to show it. Both are read
    again and again, because they are replaced in place. *seconds* is the time that each answer may take.
    """

    name: str
    url: str
    ca_file: Path | None = None
    token_file: Path | None = None
    seconds: float = SECONDS


class _Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    name: str
    url: str
    ca_file: str = ""
    token_file: str = ""
    timeout_seconds: float = SECONDS


class _File(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    router_plugins: tuple[_Entry, ...] = ()


def partners_of(pairs: Iterable[str], config: Path | None) -> tuple[Partner, ...]:
    """
    Give the routers that the flags `--router-plugin NAME=URL` and the file of `--router-plugin-config` name.

    Raises:
        ConfigError: one of them is no router that can be talked to.

    """
    named = [*(_of_pair(pair) for pair in pairs), *(() if config is None else _of_file(config))]
    known: dict[str, Partner] = {}
    for where, partner in named:
        check_partner(where, partner, known)
        known[partner.name] = partner
    return tuple(known[name] for name in sorted(known))


def _of_pair(pair: str) -> tuple[str, Partner]:
    name, equals, url = pair.partition("=")
    if not equals:
        raise ConfigError(file="--router-plugin", field="", found=f"{pair!r}", wanted="NAME=URL")
    return "--router-plugin", Partner(name=name, url=url)


def _of_file(path: Path) -> Sequence[tuple[str, Partner]]:
    try:
        found = msgspec.yaml.decode(path.read_bytes(), type=_File)
    except OSError as error:
        problem = f"{path}, {(error.strerror or 'unreadable').lower()}"
        raise ConfigError(file="--router-plugin-config", field="", found=problem, wanted="a YAML file") from None
    except msgspec.MsgspecError as error:
        wanted = "routerPlugins: a list of name, url, caFile, tokenFile, timeoutSeconds"
        raise ConfigError(file=str(path), field="", found=f"another form ({error})", wanted=wanted) from None
    return [
        (
            str(path),
            Partner(
                name=entry.name,
                url=entry.url,
                ca_file=_beside(path, entry.ca_file),
                token_file=_beside(path, entry.token_file),
                seconds=entry.timeout_seconds,
            ),
        )
        for entry in found.router_plugins
    ]


def _beside(config: Path, name: str) -> Path | None:
    return config.parent / name if name else None


def check_partner(where: str, partner: Partner, known: Mapping[str, Partner] | None = None) -> None:
    """
    Make sure that *partner*, which *where* names, can be talked to and is none of those that are *known*.

    Raises:
        ConfigError: it cannot, or is.

    """

    def wrong(field: str, found: str, wanted: str) -> ConfigError:
        return ConfigError(file=where, field=f"{partner.name}: {field}" if partner.name else field, found=found, wanted=wanted)

    if not partner.name or any(letter.isspace() for letter in partner.name):
        raise wrong("name", f"{partner.name!r}", "the name that Rollouts give below trafficRouting.plugins")
    if partner.name in BUILT_IN:
        raise wrong("name", partner.name, "another name: this router is built in")
    if partner.name in (known or {}):
        raise wrong("name", f"{partner.name} twice", "each router once")
    if not 0 < partner.seconds <= 60:
        raise wrong("timeoutSeconds", f"{partner.seconds:g}", "more than 0 and at most 60")
    _check_url(partner, wrong_url=lambda found, wanted: wrong("url", found, wanted))
    for field, path in (("caFile", partner.ca_file), ("tokenFile", partner.token_file)):
        if path is not None and not path.is_file():
            raise wrong(field, f"{path}, which is no file", "a file that can be read")


def _check_url(partner: Partner, *, wrong_url: Callable[[str, str], ConfigError]) -> None:
    try:
        url = URL(partner.url)
        host, port = url.host, url.port
    except ValueError:
        raise wrong_url("no address", "such as http://router.namespace.svc:8080") from None
    if url.scheme not in {"http", "https"} or not host or port is None:
        raise wrong_url(_shown(url), "an address such as http://router.namespace.svc:8080")
    if url.user is not None or url.password is not None or url.query_string or url.fragment:
        raise wrong_url(_shown(url), "an address without user, query and fragment: a token belongs into tokenFile")
    if url.scheme == "http" and not stays_inside(host):
        raise wrong_url(_shown(url), "https, or http to this machine or to a Service of the cluster (NAME.NAMESPACE.svc)")


def stays_inside(host: str) -> bool:
    """Tell whether *host* is this machine or a Service of the cluster, so that plain HTTP may be spoken to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        labels = host.lower().rstrip(".").split(".")
        return host == "localhost" or len(labels) == 1 or "svc" in labels[2:3]


def _shown(url: URL) -> str:
    """Show an address without anything that may be a secret."""
    return str(url.with_user(None).with_query(None).with_fragment(None)) if url.host else "no address"
