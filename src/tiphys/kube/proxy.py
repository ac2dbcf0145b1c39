"""Does the way to the server lead through a proxy?"""

import ipaddress
from collections.abc import Mapping

from yarl import URL

from tiphys.kube.errors import ConfigError


def proxy_for(server: str, named: str, environ: Mapping[str, str], *, file: str) -> URL | None:
    """
    Give the proxy that *named* says, else what HTTPS_PROXY or HTTP_PROXY and NO_PROXY say about *server*.

    Raises:
        ConfigError: it is no http or https proxy; the text leaves out user and password.

    """
    target = URL(server)
    source, text = f"{file}: proxy-url", named
    if not text:
        name = f"{target.scheme}_proxy"
        source = name.upper()
        text = environ.get(source) or environ.get(name) or ""
        if not text or _direct(target, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
            return None
        text = text if "://" in text else f"http://{text}"
    try:
        proxy = URL(text)
    except ValueError:
        raise ConfigError(file=source, field="", found="no URL", wanted="http://host:port or https://host:port") from None
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise ConfigError(
            file=source, field="", found=f"a {proxy.scheme or 'nameless'} proxy", wanted="http://host:port or https://host:port"
        )
    return proxy


def _direct(target: URL, exceptions: str) -> bool:
    """Say whether NO_PROXY (names, suffixes, addresses, networks, `*`) or loopback lets *target* be reached directly."""
    host = (target.host or "").lower()
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in (part.strip().lower() for part in exceptions.split(",")):
        name, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if not entry or (port and port != str(target.port)):
            continue
        if name in {"*", host} or (address is None and host.endswith("." + name.lstrip("*").lstrip("."))):
            return True
        if address is not None and "/" in name and _in_network(address, name):
            return True
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
