"""Why did nobody answer, in one sentence?"""

import ssl

import aiohttp

from tiphys.kube.connection import Connection
from tiphys.kube.errors import UnreachableError


def unreachable(connection: Connection, error: BaseException, *, seconds: float) -> UnreachableError:
    """Give the error to raise for *error*; *seconds* is how long was waited where it is a time limit."""
    return UnreachableError(connection.server, _problem(connection, error, seconds))


def _problem(connection: Connection, error: BaseException, seconds: float) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not trusted: {_certificate_problem(error.certificate_error)}"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {connection.proxy_shown} cannot be reached: {_system_problem(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy {connection.proxy_shown} answered {error.status}"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} cannot be resolved"
        case aiohttp.ClientSSLError():
            return f"TLS failed: {_certificate_problem(error.os_error)}"
        case aiohttp.ClientConnectorError():
            return _system_problem(error.os_error)
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case ssl.SSLError():
            return f"TLS failed: {_certificate_problem(error)}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "the connection was closed in the middle of an answer"
        case OSError():
            return _system_problem(error)
        case _:
            return f"the answer is no HTTP ({type(error).__name__})"


def _system_problem(error: OSError) -> str:
    # asyncio words refused connections as "Connect call failed (address)"; the number says it better.
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return (error.strerror or str(error) or type(error).__name__).strip()


def _certificate_problem(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(error) or type(error).__name__
