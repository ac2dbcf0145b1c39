"""How is a router in another process asked, over HTTP?"""

import asyncio
import errno
import os
import ssl
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from tiphys.api.errors import SpecError
from tiphys.kube.errors import ConflictError, CredentialError, NotFoundError, ThrottledError
from tiphys.kube.tls import Tls, client_context
from tiphys.plugins.contract import MAX_BYTES, VERSION, About, Refusal, Self, State, States, Wish
from tiphys.plugins.errors import AnswerError, RouterError, SilentError
from tiphys.plugins.partner import Partner

T = TypeVar("T")

_SHOWN: Final = 200
_CHUNK: Final = 64 * 1024


class RouterApi(Protocol):
    """
    One router, asked by the calls of the contract.

    The errors are `RouterError`s, and those that other writes know as well: `ConflictError` where the state is another one than was
    seen, `ThrottledError` for patience, `SpecError` for what the user has to mend.
    """

    async def introduce(self) -> Self:
        """Ask the router what it is and can do."""

    async def states(self) -> tuple[msgspec.Raw, ...]:
        """Ask for all that the router holds, each undecoded."""

    async def state(self, namespace: str, name: str) -> State:
        """
        Ask for what the router holds for one Rollout.

        Raises:
            NotFoundError: it holds nothing.

        """

    async def wish(self, wish: Wish) -> State:
        """Tell the router what is wanted, and give what it says then."""

    async def forget(self, about: About, *, version: str | None) -> None:
        """Let the router forget a Rollout; one that it does not know is no error."""


class HttpRouter:
    """The calls of the contract over HTTP: no redirects, a time limit for each, a limit to how much is read."""

    def __init__(self, partner: Partner) -> None:
        self._partner = partner
        self._base = partner.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._context: tuple[bytes, ssl.SSLContext] | None = None

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def introduce(self) -> Self:
        """Ask the router what it is and can do."""
        return self._decoded(await self._call("GET", f"/{VERSION}/router"), Self)

    async def health(self) -> None:
        """Ask whether the router works; the error says why not."""
        await self._call("GET", "/healthz")

    async def states(self) -> tuple[msgspec.Raw, ...]:
        """Ask for all that the router holds, each undecoded."""
        found = self._decoded(await self._call("GET", f"/{VERSION}/states"), States)
        return tuple(raw.copy() for raw in found.states)

    async def state(self, namespace: str, name: str) -> State:
        """
        Ask for what the router holds for one Rollout.

        Raises:
            NotFoundError: it holds nothing.

        """
        return self._decoded(await self._call("GET", _path(namespace, name)), State)

    async def wish(self, wish: Wish) -> State:
        """Tell the router what is wanted, and give what it says then."""
        return await self.send(wish, wish.rollout)

    async def send(self, wish: object, about: About) -> State:
        """Tell the router a wish in any form, as one of a later version would be."""
        return self._decoded(await self._call("PUT", _path(about.namespace, about.name), body=msgspec.json.encode(wish)), State)

    async def forget(self, about: About, *, version: str | None) -> None:
        """Let the router forget a Rollout; one that it does not know is no error."""
        query = {"uid": about.uid} | ({} if version is None else {"version": version})
        try:
            await self._call("DELETE", f"{_path(about.namespace, about.name)}?{urlencode(query, quote_via=quote)}")
        except NotFoundError:
            return

    async def _call(self, method: str, path: str, *, body: bytes | None = None) -> bytes:
        files = self._partner.token_file or self._partner.ca_file
        headers, context = await asyncio.to_thread(self._credentials) if files else self._credentials()
        if body is not None:
            headers["Content-Type"] = "application/json"
        session = self._connected()
        try:
            async with (
                asyncio.timeout(self._partner.seconds),
                session.request(
                    method,
                    URL(self._base + path, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    ssl=True if context is None else context,
                ) as response,
            ):
                answer = await self._read(response)
                status, told = response.status, response.headers
        except TimeoutError:
            raise SilentError(self._partner.name, f"no answer from {self._base} within {self._partner.seconds:g} s") from None
        except aiohttp.ClientPayloadError as error:
            raise SilentError(self._partner.name, f"{self._base} broke off in the middle of an answer") from error
        except (aiohttp.ClientError, OSError) as error:
            raise SilentError(self._partner.name, f"cannot reach {self._base}: {_short(error)}") from error
        if not 200 <= status < 300:
            raise refusal(self._partner.name, status, told, answer)
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        left = MAX_BYTES
        async for part in response.content.iter_chunked(_CHUNK):
            left -= len(part)
            if left < 0:
                response.close()
                raise AnswerError(self._partner.name, f"{self._base} answered more than {MAX_BYTES} bytes")
            parts.append(part)
        return b"".join(parts)

    def _credentials(self) -> tuple[dict[str, str], ssl.SSLContext | None]:
        """Read the files of the operator: they may have been replaced."""
        headers = {"Accept": "application/json"}
        try:
            if self._partner.token_file is not None:
                token = self._partner.token_file.read_text(encoding="ascii").strip()
                if not token or not token.isprintable():
                    raise RouterError(self._partner.name, f"{self._partner.token_file} holds no token")
                headers["Authorization"] = f"Bearer {token}"
            if self._partner.ca_file is None:
                return headers, None
            authority = self._partner.ca_file.read_bytes()
            if self._context is None or self._context[0] != authority:
                self._context = (authority, client_context(Tls(authority=authority), None))
            return headers, self._context[1]
        except UnicodeDecodeError:
            raise RouterError(self._partner.name, f"{self._partner.token_file} holds no token") from None
        except (OSError, CredentialError) as error:
            raise RouterError(self._partner.name, f"its credentials cannot be read: {error}") from error

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=8, keepalive_timeout=30)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "tiphys-controller"}
            )
        return self._session

    def _decoded(self, answer: bytes, into: type[T]) -> T:
        try:
            return msgspec.json.decode(answer, type=into)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            what = into.__name__.lower()
            raise AnswerError(self._partner.name, f"{self._base} answered no {what} of contract {VERSION}: {error}") from error


def refusal(router: str, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    """Make the error of an answer that is no success, whatever its body is."""
    try:
        said = msgspec.json.decode(body, type=Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = Refusal(message=body[:_SHOWN].decode(errors="replace").strip())
    words = said.message[:_SHOWN] or "no reason given"
    if 300 <= status < 400:
        return AnswerError(router, f"answered {status}, a redirect, which is never followed")
    match status:
        case 404:
            return NotFoundError(404, "NotFound", f"router {router}: {words}")
        case 409:
            return ConflictError(409, "Conflict", f"router {router}: {words}")
        case 422:
            return SpecError(field=at(router, said.field), found=said.found, wanted=said.wanted or words)
        case 429:
            return ThrottledError(429, "TooManyRequests", f"router {router}: {words}", retry_after=_seconds(headers))
        case 401 | 403:
            return RouterError(router, f"does not accept our token ({status}): {words}")
        case _ if status >= 500:
            return SilentError(router, f"answered {status}: {words}")
        case _:
            return AnswerError(router, f"answered {status}: {words}")


def at(router: str, field: str = "") -> str:
    """Name a field of a router's config where the Rollout has it."""
    place = f"spec.strategy.canary.trafficRouting.plugins[{router}]"
    return f"{place}.{field}" if field else place


def _path(namespace: str, name: str) -> str:
    return f"/{VERSION}/states/{quote(namespace, safe='')}/{quote(name, safe='')}"


def _seconds(headers: Mapping[str, Any]) -> float | None:
    after = str(headers.get("Retry-After", ""))
    return min(float(after), 3600.0) if after.isascii() and after.isdigit() else None


def _short(error: BaseException) -> str:
    """Say what happened in the words of the system, without addresses that were told already."""
    cause = error.__cause__ or error
    number = cause.errno if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) else None
    return (os.strerror(number) if number is not None and number in errno.errorcode else str(cause) or type(error).__name__).lower()
