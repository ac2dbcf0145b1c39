"""What does a client need to know about one server?"""

from dataclasses import dataclass, field

from yarl import URL

from tiphys.kube.credentials import CredentialSource, FixedCredentials
from tiphys.kube.tls import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """
    One server and the way to it.

    *server* is its address without credentials, *namespace* the one to use where the user names none, *headers* go with every request
    (impersonation), *origin* says in words where the credentials come from. *proxy* may hold a password; `proxy_shown` does not.
    `Connection(server="http://127.0.0.1:8001")` is all that a server without authentication takes.
    """

    server: str
    namespace: str = "default"
    tls: Tls = field(default_factory=Tls)
    credentials: CredentialSource = field(default_factory=FixedCredentials, repr=False)
    proxy: URL | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    origin: str = "no configuration"

    @property
    def proxy_shown(self) -> str:
        """The proxy without user and password."""
        return str(self.proxy.with_user(None)) if self.proxy else ""
