"""Whom do we trust, and how do we prove who we are?"""

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tiphys.kube.credentials import Certificate
from tiphys.kube.errors import CredentialError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the server proves who it is; without *authority* (PEM) the system's trust store counts."""

    authority: bytes | None = None
    server_name: str = ""
    verify: bool = True


def client_context(tls: Tls, certificate: Certificate | None) -> ssl.SSLContext:
    """
    Make the context of our connections.

    Raises:
        CredentialError: the authority, the certificate or its key is no PEM, or they do not belong together.

    """
    try:
        context = ssl.create_default_context(cadata=tls.authority.decode("ascii") if tls.authority else None)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise CredentialError("the certificate authority: found no PEM certificate, wanted one or more") from error
    # Cluster authorities made by older tools lack extensions that RFC 5280 wants and that Python 3.13 began to insist on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _present(context, certificate)
    return context


def _present(context: ssl.SSLContext, certificate: Certificate) -> None:
    # The ssl module reads certificates from files only; the folder is ours alone and gone at once.
    with tempfile.TemporaryDirectory(prefix="tiphys-") as folder:
        chain, key = Path(folder, "chain"), Path(folder, "key")
        chain.write_bytes(certificate.chain)
        key.touch(mode=0o600)
        key.write_bytes(certificate.key.reveal().encode())
        try:
            # An encrypted key must fail instead of asking a terminal for its password.
            context.load_cert_chain(chain, key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise CredentialError("the client certificate: found a certificate and key that cannot be used, wanted a PEM pair") from error
