"""As whom do we come, and until when does the server believe it?"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tiphys.kube.clock import Clock
from tiphys.kube.errors import CredentialError

REREAD_AFTER = 60.0
"""Seconds after which credential files are read again; kubelets replace tokens in place."""


class Secret:
    """A text that shows itself only when asked for by name: never in a log, a repr or an error."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate with its chain (PEM) and its key (PEM)."""

    chain: bytes
    key: Secret


@dataclass(frozen=True, slots=True)
class Credential:
    """What one request shows: an Authorization header, a client certificate, both or nothing."""

    authorization: Secret | None = None
    certificate: Certificate | None = None


class CredentialSource(Protocol):
    """Where credentials come from; may be asked by many tasks at once."""

    async def current(self) -> Credential:
        """
        Give what to show now.

        Raises:
            CredentialError: there is nothing to show, and the text says why.

        """
        ...

    async def renew(self, rejected: Credential) -> bool:
        """Look for something better than *rejected*, and say whether it makes sense to try again."""
        ...


def bearer(token: str) -> Secret:
    """Give the Authorization header of a token."""
    return Secret(f"Bearer {token.strip()}")


class FixedCredentials:
    """Credentials that never change."""

    def __init__(self, credential: Credential | None = None) -> None:
        self._credential = credential or Credential()

    async def current(self) -> Credential:  # noqa: D102 - the protocol says it
        return self._credential

    async def renew(self, rejected: Credential) -> bool:  # noqa: D102 - the protocol says it
        return rejected != self._credential


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFiles:
    """Which parts of a credential lie in files; the others are *fixed*."""

    token: Path | None = None
    chain: Path | None = None
    key: Path | None = None
    fixed: Credential = Credential()

    def read(self) -> Credential:
        """
        Read every file that is named.

        Raises:
            CredentialError: a file cannot be read, or is empty.

        """
        authorization, certificate = self.fixed.authorization, self.fixed.certificate
        if self.token is not None:
            authorization = bearer(_text(self.token, "a token"))
        if self.chain is not None or self.key is not None:
            known = certificate or Certificate(b"", Secret(""))
            chain = _text(self.chain, "a certificate").encode() if self.chain else known.chain
            key = Secret(_text(self.key, "a key")) if self.key else known.key
            certificate = Certificate(chain, key)
        return Credential(authorization, certificate)


class FileCredentials:
    """Credentials in files that somebody else replaces: read again every minute, and when the server refuses them."""

    def __init__(self, files: CredentialFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._known: Credential | None = None
        self._read_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def current(self) -> Credential:  # noqa: D102 - the protocol says it
        known = self._fresh()
        if known is not None:
            return known
        async with self._one_at_a_time:
            return self._fresh() or await self._read()

    async def renew(self, rejected: Credential) -> bool:  # noqa: D102 - the protocol says it
        async with self._one_at_a_time:
            known = self._known if self._known not in {None, rejected} else await self._read()
        return known != rejected

    def _fresh(self) -> Credential | None:
        return self._known if self._clock.monotonic() - self._read_at < REREAD_AFTER else None

    async def _read(self) -> Credential:
        try:
            self._known = await asyncio.to_thread(self._files.read)
        except CredentialError:
            # A file that is being replaced may be gone for a moment; what was read before is still the best guess.
            if self._known is None:
                raise
        self._read_at = self._clock.monotonic()
        return self._known


def _text(path: Path, what: str) -> str:
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "no text"
        raise CredentialError(f"{path}: found {(problem or 'nothing readable').lower()}, wanted {what}") from None
    if not text:
        raise CredentialError(f"{path}: found an empty file, wanted {what}")
    return text
