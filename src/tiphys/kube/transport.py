"""How do bytes get to the server and back, whatever happens on the way?"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from tiphys.kube.calls import Call
from tiphys.kube.clock import Clock
from tiphys.kube.connection import Connection
from tiphys.kube.credentials import Credential
from tiphys.kube.errors import ApiError, SilenceError, ThrottledError, UnauthorizedError, UnreachableError, api_error
from tiphys.kube.resources import Resource
from tiphys.kube.tls import client_context
from tiphys.kube.trouble import unreachable

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


class Observer(Protocol):
    """Is told of every attempt; *status* is 0 where nobody answered."""

    def __call__(  # noqa: D102 - the facts of one request
        self, verb: str, resource: Resource | None, namespace: str | None, name: str | None, status: int, seconds: float, /
    ) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What a client may use; times in seconds.

    *attempts* bounds how often a call that was answered with 429 is made, *longest_wait* what a single Retry-After may ask for before the
    error is raised instead. *request_timeout* is for a whole answer, *connect_timeout* for TCP and TLS, *silence* for a pause in a stream.
    """

    connections: int = 64
    request_timeout: float = 30.0
    connect_timeout: float = 10.0
    silence: float = 70.0
    attempts: int = 4
    longest_wait: float = 30.0


Stream = AsyncIterator[bytes]


class Transport:
    """
    The connections to one API server.

    Requests and streams have separate pools: open watches never keep a patch waiting for a connection.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str,
        observer: Observer | None,
        on_warning: Callable[[str], None] | None,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._connection = connection
        self._base = connection.server.rstrip("/")
        self._secure = self._base.startswith("https:")
        self._headers = CIMultiDict([("User-Agent", user_agent), *connection.headers])
        self._observer = observer
        self._on_warning = on_warning
        self._clock = clock
        self._limits = limits
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._context: tuple[Credential, ssl.SSLContext] | None = None

    async def close(self) -> None:
        """Close both pools."""
        for session in (self._calls, self._streams):
            if session is not None:
                await session.close()
        self._calls = self._streams = None

    async def send(self, call: Call) -> bytes:
        """
        Give the body of a successful answer.

        Raises:
            ApiError: the server refused; after renewed credentials for a 401, after some patience for a 429.
            UnreachableError: nobody answered.

        """
        renewed = False
        attempt = 1
        while True:
            credential = await self._connection.credentials.current()
            try:
                return await self._attempt(call, credential)
            except UnauthorizedError as error:
                if renewed or not await self._connection.credentials.renew(credential):
                    raise self._explained(error) from None
                renewed = True
            except ThrottledError as error:
                wait = error.retry_after if error.retry_after is not None else 1.0
                if not call.patient or attempt >= self._limits.attempts or wait > self._limits.longest_wait:
                    raise
                attempt += 1
                await self._clock.sleep(wait)

    @asynccontextmanager
    async def stream(self, call: Call, *, silence: float | None) -> AsyncIterator[Stream]:
        """Give the chunks of a long answer; the first answer is checked like any other."""
        pause = self._limits.silence if silence is None else silence
        renewed = False
        while True:
            credential = await self._connection.credentials.current()
            response = await self._open_stream(call, credential, pause)
            try:
                await self._refuse(response)
            except UnauthorizedError as error:
                if renewed or not await self._connection.credentials.renew(credential):
                    raise self._explained(error) from None
                renewed = True
                continue
            break
        chunks = self._chunks(response, pause)
        try:
            yield chunks
        finally:
            await chunks.aclose()
            response.close()

    async def _open_stream(self, call: Call, credential: Credential, pause: float) -> aiohttp.ClientResponse:
        # No total time limit: a watch lives for minutes. Only silence ends it.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_timeout, sock_read=pause)
        if self._streams is None:
            self._streams = self._session(0)
        started = self._clock.monotonic()
        status = 0
        try:
            async with asyncio.timeout(self._limits.request_timeout):
                response = await self._streams.request(**self._arguments(call, credential), timeout=timeout)
            status = response.status
        except NETWORK_ERRORS as error:
            raise unreachable(self._connection, error, seconds=self._limits.request_timeout) from error
        finally:
            self._tell(call, status, started)
        return response

    async def _chunks(self, response: aiohttp.ClientResponse, pause: float) -> AsyncGenerator[bytes]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except aiohttp.SocketTimeoutError as error:
            raise SilenceError(self._connection.server, f"an open stream was silent for {pause:g} s") from error
        except NETWORK_ERRORS as error:
            raise unreachable(self._connection, error, seconds=pause) from error
        except RuntimeError as error:
            # What aiohttp says when the connection was closed from our side.
            raise UnreachableError(self._connection.server, "the connection was closed") from error

    async def _attempt(self, call: Call, credential: Credential) -> bytes:
        seconds = call.seconds or self._limits.request_timeout
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=self._limits.connect_timeout)
        if self._calls is None:
            self._calls = self._session(self._limits.connections)
        started = self._clock.monotonic()
        status = 0
        try:
            async with self._calls.request(**self._arguments(call, credential), timeout=timeout) as response:
                body = await response.read()
                status = response.status
        except NETWORK_ERRORS as error:
            raise unreachable(self._connection, error, seconds=seconds) from error
        finally:
            self._tell(call, status, started)
        if self._on_warning is not None:
            for warning in response.headers.getall("Warning", ()):
                self._on_warning(warning_text(warning))
        if not 200 <= status < 300:
            raise refusal(status, response.headers, body)
        return body

    async def _refuse(self, response: aiohttp.ClientResponse) -> None:
        """Raise what a stream that did not open says."""
        if 200 <= response.status < 300:
            return
        try:
            body = await response.read()
        except NETWORK_ERRORS as error:
            raise unreachable(self._connection, error, seconds=self._limits.request_timeout) from error
        finally:
            response.close()
        raise refusal(response.status, response.headers, body)

    def _arguments(self, call: Call, credential: Credential) -> dict[str, Any]:
        headers = {"Accept": call.accept}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        if call.identity:
            # Unpacking costs more than the bytes it saves on the way to a server close by.
            headers["Accept-Encoding"] = "identity"
        if credential.authorization is not None:
            headers["Authorization"] = credential.authorization.reveal()
        return {
            "method": call.method,
            "url": _url(self._base + call.path, call.query),
            "headers": headers,
            "data": call.body,
            "allow_redirects": False,
            "ssl": self._tls(credential),
            "server_hostname": self._connection.tls.server_name or None,
            "proxy": self._connection.proxy,
        }

    def _tls(self, credential: Credential) -> ssl.SSLContext | bool:
        if not self._secure:
            return True
        if self._context is None or self._context[0].certificate != credential.certificate:
            self._context = (credential, client_context(self._connection.tls, credential.certificate))
        return self._context[1]

    def _session(self, connections: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=30, socket_factory=_kept_alive_socket)
        return aiohttp.ClientSession(connector=connector, headers=self._headers, read_bufsize=2**18, cookie_jar=aiohttp.DummyCookieJar())

    def _tell(self, call: Call, status: int, started: float) -> None:
        if self._observer is not None:
            self._observer(call.verb, call.resource, call.namespace, call.name, status, self._clock.monotonic() - started)

    def _explained(self, error: UnauthorizedError) -> UnauthorizedError:
        text = (
            f"{self._connection.server} does not accept the credentials from {self._connection.origin}: {error.message or 'Unauthorized'}"
        )
        return UnauthorizedError(error.status, error.reason, text, details=error.details, retry_after=error.retry_after)


def _url(path: str, query: Mapping[str, str]) -> URL:
    """Give the address; *path* is encoded already and must stay so."""
    return URL(f"{path}?{urlencode(query, quote_via=quote)}" if query else path, encoded=True)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Make the error of an answer that is no success, whatever its body is."""
    after = headers.get("Retry-After", "")
    retry_after = float(after) if after.isdigit() else None
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict) or found.get("kind") != "Status":
        text = body[:200].decode(errors="replace").strip()
        found = {"message": f"the API server answered {status}" + (f": {text}" if text else "")}
    return api_error(status, {**found, "code": status}, retry_after=retry_after)


def warning_text(header: str) -> str:
    """Give the words of a `299 - "…"` warning header."""
    _, _, quoted = header.partition('"')
    return quoted.rsplit('"', 1)[0].replace('\\"', '"') if quoted else header


def _kept_alive_socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket that notices a peer that is gone: a half-open connection dies after about a minute."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)  # noqa: FBT003 - the standard library's signature
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
