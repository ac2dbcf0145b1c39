"""How does a pod answer HTTP? (A lean server: all pods of a cluster share one event loop.)"""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import cast

COUNTS_PATH = b"/-/counts"
"""A request for this path is answered with the pod's counts and is not counted."""

ECHO_PATH = b"/-/echo"
"""A request for this path is answered with the request line and headers as they arrived: shows rewrites and header operations."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r\n]*close", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_SHADOW = re.compile(rb"\r\nhost:[ \t]*[^\r\n]*-shadow(?::\d+)?[ \t]*\r\n", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"[A-Za-z]+ (\S+) HTTP/1\.[01]\r\n")
_LARGEST_HEAD = 256 * 1024
_REASONS = {200: b"OK", 400: b"Bad Request", 500: b"Internal Server Error", 503: b"Service Unavailable"}


@dataclass(slots=True)
class Served:
    """What a pod has answered since it started; mirrored requests are not among *requests*."""

    requests: int = 0
    mirrored: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who the pod says it is, and with which status (a failing pod says 500)."""

    version: str
    hash: str
    pod: str
    status: int = 200
    latency: float = 0.0
    """Seconds between request and answer."""

    def encoded(self) -> tuple[bytes, bytes]:
        """Head without its last blank line, and body."""
        body = json.dumps({"version": self.version, "hash": self.hash, "pod": self.pod}).encode() + b"\n"
        named = f"x-version: {self.version}\r\nx-hash: {self.hash}\r\nx-pod: {self.pod}\r\n"
        return _head(self.status, len(body)) + named.encode("latin-1", "replace"), body


@dataclass(slots=True)
class PodServer:
    """The HTTP server of one pod, on an address of its own."""

    answer: Answer
    served: Served = field(default_factory=Served)
    draining: bool = False
    head: bytes = field(init=False)
    body: bytes = field(init=False)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _connections: "set[_Connection]" = field(default_factory=set)

    def __post_init__(self) -> None:
        self.head, self.body = self.answer.encoded()

    async def listen(self, address: str, ports: tuple[int, ...]) -> None:
        """
        Serve on every one of *ports*, or on none.

        Raises: OSError when one of them is taken or not allowed.
        """
        loop = asyncio.get_running_loop()
        try:
            for port in ports:
                self._servers.append(await loop.create_server(lambda: _Connection(self), address, port))
        except OSError:
            self.abort()
            raise

    def drain(self) -> None:
        """Go on serving, but ask every client to take its next request elsewhere."""
        self.draining = True

    @property
    def busy(self) -> int:
        """How many requests wait for their answer."""
        return sum(connection.busy for connection in self._connections)

    def abort(self) -> None:
        """Stop at once, as a killed process does: open requests fail."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self._connections):
            connection.abort()

    def close(self) -> None:
        """Take no new connection and close the idle ones; a request under way gets its answer first."""
        self.draining = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self._connections):
            connection.finish()

    def opened(self, connection: "_Connection") -> None:
        """Remember a connection while it is open."""
        self._connections.add(connection)

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection that has ended."""
        self._connections.discard(connection)


class _Connection(asyncio.Protocol):
    """One keep-alive connection; pipelined requests are answered in order."""

    __slots__ = ("_body_left", "_buffer", "_chunked", "_finishing", "_owner", "_transport", "_waiting", "busy")

    def __init__(self, owner: PodServer) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._body_left = 0
        self._chunked = False
        self._finishing = False
        self._waiting: bytes | None = None
        self.busy = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream server gives stream transports; those of uvloop are of a class of their own.
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self.busy = 0
        self._owner.closed(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def finish(self) -> None:
        self._finishing = True
        if self._transport is not None and not self.busy and not self._buffer and self._waiting is None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            self._read_on()
        except ValueError:
            self._refuse()

    def _refuse(self) -> None:
        """Answer what is no HTTP, and end the connection: nobody knows where the next request would begin."""
        if self._transport is not None:
            self._transport.write(_head(400, 0) + b"connection: close\r\n\r\n")
            self._transport.close()
            self._transport = None

    def _read_on(self) -> None:
        while self._transport is not None and not self.busy:
            if self._waiting is not None:
                if not self._body_ended():
                    return
                head, self._waiting = self._waiting, None
                self._reply(head)
                continue
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _LARGEST_HEAD:
                    self._transport.abort()
                return
            head = bytes(self._buffer[: end + 2])
            del self._buffer[: end + 4]
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        """Remember a request whose head has arrived, and how its body ends."""
        self._waiting = head
        if head.startswith(b"GET ") and b"ontent-" not in head:
            return
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self._body_left = int(length[1]) if length and not self._chunked else 0
        if _CONTINUE.search(head) and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body_ended(self) -> bool:
        """Take what has arrived of the request's body; tell whether all of it is here."""
        if not self._chunked:
            taken = min(self._body_left, len(self._buffer))
            del self._buffer[:taken]
            self._body_left -= taken
            return self._body_left == 0
        while True:
            line = self._buffer.find(b"\r\n")
            if line < 0:
                return False
            size = int(bytes(self._buffer[:line]).split(b";")[0], 16)
            if size < 0:
                raise ValueError("a chunk's size is negative")
            if len(self._buffer) < line + 2 + size + 2:
                return False
            del self._buffer[: line + 2 + size + 2]
            if size == 0:
                self._chunked = False
                return True

    def _reply(self, head: bytes) -> None:
        owner = self._owner
        path = _REQUEST_LINE.match(head)
        if path is None:
            raise ValueError("no request line")
        if path[1] == COUNTS_PATH:
            self._write(head, _head(200, 0, body := _counts(owner.served)), body)
        elif path[1] == ECHO_PATH:
            self._write(head, _head(200, 0, body := head), body)
        elif owner.answer.latency > 0:
            self.busy = 1
            asyncio.get_running_loop().call_later(owner.answer.latency, self._reply_late, head)
        else:
            self._reply_now(head)

    def _reply_late(self, head: bytes) -> None:
        self.busy = 0
        if self._transport is not None:
            self._reply_now(head)
            self._read_on()

    def _reply_now(self, head: bytes) -> None:
        owner = self._owner
        if _SHADOW.search(head):
            owner.served.mirrored += 1
        else:
            owner.served.requests += 1
            owner.served.errors += owner.answer.status >= 500
        self._write(head, owner.head, owner.body)

    def _write(self, request: bytes, head: bytes, body: bytes) -> None:
        if self._transport is None:
            return
        if request.startswith(b"HEAD "):
            body = b""
        last = self._owner.draining or self._finishing or _CLOSE.search(request) is not None or b" HTTP/1.0\r\n" in request
        self._transport.write(head + (b"connection: close\r\n\r\n" if last else b"\r\n") + body)
        if last:
            self._transport.close()
            self._transport = None


def _head(status: int, length: int, body: bytes = b"") -> bytes:
    reason = _REASONS.get(status, b"Unknown")
    return b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, reason, length or len(body))


def _counts(served: Served) -> bytes:
    return json.dumps({"requests": served.requests, "mirrored": served.mirrored, "errors": served.errors}).encode() + b"\n"
