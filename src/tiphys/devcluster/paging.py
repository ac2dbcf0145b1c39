"""What is a page of a list, and where does the next one begin?"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tiphys.devcluster.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiphys.devcluster.history import Stored
    from tiphys.devcluster.rules import Manifest

API = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a list. *continue_* is empty on the last page; *remaining* is None where it is not known."""

    items: Sequence[Stored]
    version: int
    continue_: str = ""
    remaining: int | None = None

    @property
    def manifests(self) -> list[Manifest]:
        """The objects, each the caller's own."""
        return [item.copy() for item in self.items]


def token(version: int, last: Stored) -> str:
    """Give the continue token of a page that showed *version* and ended with *last*."""
    content = {"v": API, "rv": version, "start": f"{last.namespace}/{last.name}"}
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def read_token(text: str, version: int) -> tuple[tuple[str, str] | None, int]:
    """
    Give the object after which a page begins and the version it shows; without a token: None and *version*.

    Raises:
        StatusError: 400, this is no token of ours.

    """
    if not text:
        return None, version
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    try:
        content = msgspec.json.decode(raw, type=dict[str, str | int])
        namespace, _, name = str(content["start"]).partition("/")
        return (namespace, name), int(content["rv"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, ValueError) as error:
        first = repr(bytes(raw[:1]))[1:] if raw else "''"
        raise bad_request(
            f"invalid continue token: continue key is not valid: invalid character {first} looking for beginning of value"
        ) from error
