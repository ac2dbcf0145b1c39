"""Do the calls of the contract bring back what was said, and does nothing that a router answers do any harm?"""

import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clocks import VirtualClock
from router_server import Chosen, RouterServer
from tiphys.api.errors import ConflictError, SpecError, TiphysError, UnreachableError
from tiphys.api.meta import Manifest
from tiphys.core.intent import Role
from tiphys.kube.errors import NotFoundError, ThrottledError
from tiphys.kube.store import Store
from tiphys.plugins.client import HttpRouter
from tiphys.plugins.contract import MAX_BYTES, About, Share, State, Traffic, Wish
from tiphys.plugins.documents import GROUP, read_self, read_state
from tiphys.plugins.errors import AnswerError, RouterError
from tiphys.plugins.outposts import Outposts
from tiphys.plugins.partner import Partner

NAME = "example.com/router"
ABOUT = About(namespace="shop", name="parcel", uid="1f0c")
TRAFFIC = Traffic(backends=(Share(role=Role.STABLE, service="stable", weight=80), Share(role=Role.CANARY, service="canary", weight=20)))
WISH = Wish(rollout=ABOUT, config={"host": "shop.example"}, traffic=TRAFFIC)

Call = Callable[[HttpRouter], Awaitable[object]]
CALLS: dict[str, Call] = {
    "introduce": lambda router: router.introduce(),
    "states": lambda router: router.states(),
    "state": lambda router: router.state("shop", "parcel"),
    "wish": lambda router: router.wish(WISH),
}


@pytest.fixture
async def server() -> AsyncIterator[RouterServer]:
    async with RouterServer().serve() as running:
        yield running


@pytest.fixture
async def router(server: RouterServer) -> AsyncIterator[HttpRouter]:
    made = HttpRouter(Partner(name=NAME, url=f"{server.url}/", seconds=5))
    yield made
    await made.close()


async def test_a_wish_is_found_again_and_forgotten(router: HttpRouter) -> None:
    written = await router.wish(WISH)
    alone = await router.state("shop", "parcel")
    (listed,) = await router.states()
    await router.forget(ABOUT, version=written.version)
    await router.forget(ABOUT, version=written.version)

    assert (written.traffic, written.config) == (TRAFFIC, {"host": "shop.example"})
    assert written == alone == msgspec.json.decode(listed, type=State)
    assert await router.states() == ()
    with pytest.raises(NotFoundError):
        await router.state("shop", "parcel")


async def test_names_are_told_whatever_they_are(server: RouterServer, router: HttpRouter) -> None:
    about = About(namespace="a b", name="c?d=e&f#g", uid="1 &2")

    written = await router.wish(msgspec.structs.replace(WISH, rollout=about))
    await router.forget(about, version=written.version)

    assert [path for _, path, _ in server.asked] == [
        "/v1/states/a%20b/c%3Fd%3De%26f%23g",
        f"/v1/states/a%20b/c%3Fd%3De%26f%23g?uid=1%20%262&version={written.version}",
    ]
    assert server.router.held == {}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("chosen", "kind", "says"),
    [
        (Chosen(302, headers={"Location": "http://elsewhere.example/"}), AnswerError, "302, a redirect, which is never followed"),
        (Chosen(400, b'{"message": "what?"}'), AnswerError, "answered 400: what?"),
        (Chosen(401), RouterError, "does not accept our token (401)"),
        (Chosen(403, b'{"message": "not you"}'), RouterError, "does not accept our token (403): not you"),
        (Chosen(409, b'{"message": "version 8"}'), ConflictError, "version 8"),
        (Chosen(500, b"<html>" * 100), UnreachableError, "answered 500: <html>"),
        (Chosen(503), UnreachableError, "answered 503: no reason given"),
        (Chosen(200, b"{"), AnswerError, "of contract v1"),
        (Chosen(200, b"[]"), AnswerError, "of contract v1"),
        (Chosen(200, b"\xff\xfe"), AnswerError, "of contract v1"),
        (Chosen(200, b"[" * 100_000), AnswerError, "of contract v1"),
        (Chosen(200, b" " * (MAX_BYTES + 1)), AnswerError, "more than"),
    ],
    ids=["redirect", "400", "401", "403", "409", "500", "503", "half", "list", "no text", "deep", "too much"],
)
async def test_every_answer_has_its_error(
    server: RouterServer, router: HttpRouter, call: Call, chosen: Chosen, kind: type[TiphysError], says: str
) -> None:
    server.chosen = chosen

    with pytest.raises(kind) as told:
        await call(router)

    assert says in str(told.value)
    assert NAME in str(told.value)
    assert len(str(told.value)) < 500


async def test_a_field_that_the_user_has_to_mend_is_named_where_the_rollout_has_it(server: RouterServer, router: HttpRouter) -> None:
    server.chosen = Chosen(422, b'{"field": "host", "found": "shop", "wanted": "a host that exists"}')

    with pytest.raises(SpecError) as told:
        await router.wish(WISH)

    assert str(told.value) == f'spec.strategy.canary.trafficRouting.plugins[{NAME}].host: Invalid value: "shop": a host that exists'


@pytest.mark.parametrize(("header", "wanted"), [("7", 7.0), ("soon", None), ("-1", None), ("999999999", 3600.0)])
async def test_a_router_may_ask_for_patience(server: RouterServer, router: HttpRouter, header: str, wanted: float | None) -> None:
    server.chosen = Chosen(429, headers={"Retry-After": header})

    with pytest.raises(ThrottledError) as told:
        await router.wish(WISH)

    assert told.value.retry_after == wanted


async def test_an_answer_that_does_not_come_in_time_is_silence(server: RouterServer) -> None:
    server.chosen = Chosen(late=True)
    router = HttpRouter(Partner(name=NAME, url=server.url, seconds=0.05))

    with pytest.raises(UnreachableError) as told:
        await router.states()
    await router.close()

    assert str(told.value) == f"router {NAME}: no answer from {server.url} within 0.05 s"


async def test_nobody_there_is_silence() -> None:
    router = HttpRouter(Partner(name=NAME, url="http://127.0.0.1:9"))

    with pytest.raises(UnreachableError) as told:
        await router.states()
    await router.close()

    assert str(told.value) == f"router {NAME}: cannot reach http://127.0.0.1:9: connection refused"


async def test_a_token_is_read_again_and_never_told(server: RouterServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    router = HttpRouter(Partner(name=NAME, url=server.url, token_file=file))

    for token in ("first-secret", "second-secret"):
        file.write_text(f"{token}\n")
        await router.states()
    server.chosen = Chosen(401, b'{"message": "no"}')
    with pytest.raises(RouterError) as told:
        await router.states()
    file.write_text("two\nlines")
    with pytest.raises(RouterError, match="holds no token") as malformed:
        await router.states()
    file.unlink()
    with pytest.raises(RouterError, match="cannot be read"):
        await router.states()
    await router.close()

    assert [headers.get("Authorization") for _, _, headers in server.asked[:2]] == ["Bearer first-secret", "Bearer second-secret"]
    assert "secret" not in str(told.value)
    assert "lines" not in str(malformed.value)


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine that nobody but its holder trusts."""
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    names = ["-subj", "/CN=router", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-days", "2", *names]
    subprocess.run(made, check=True, capture_output=True)
    return certificate, key


async def test_only_the_authority_of_the_operator_counts(tls_files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = tls_files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with RouterServer().serve(context) as server:
        trusted = HttpRouter(Partner(name=NAME, url=server.url, ca_file=certificate))
        stranger = HttpRouter(Partner(name=NAME, url=server.url))
        garbage = tmp_path / "garbage"
        garbage.write_text("no certificate")
        broken = HttpRouter(Partner(name=NAME, url=server.url, ca_file=garbage))

        said = await trusted.introduce()
        with pytest.raises(UnreachableError, match="certificate"):
            await stranger.introduce()
        with pytest.raises(RouterError, match="its credentials cannot be read"):
            await broken.introduce()
        for each in (trusted, stranger, broken):
            await each.close()

    assert said.name == "fake"


# --- garbage ----------------------------------------------------------------------------------------------------------------------

_json: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 120) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_GOOD: dict[str, object] = {
    "rollout": {"namespace": "shop", "name": "parcel", "uid": "1f0c"},
    "version": "1",
    "config": {"host": "shop.example"},
    "traffic": {"backends": [{"role": "stable", "service": "stable", "weight": 80}, {"role": "canary", "service": "canary", "weight": 20}]},
    "verified": "yes",
    "problems": [],
}


@st.composite
def _states(draw: st.DrawFn) -> object:
    """Draw a state in which anything stands in the place of anything."""
    state = dict(_GOOD)
    for key in draw(st.lists(st.sampled_from(sorted(_GOOD)), max_size=3)):
        state[key] = draw(_json)
    return draw(st.just(state) | _json)


class Said:
    """A router that answers bytes of a test's choice."""

    def __init__(self, states: bytes) -> None:
        self.answer = states

    def outposts(self) -> tuple[Outposts, Store[Manifest]]:
        router = _Canned(self.answer)
        outposts = Outposts({NAME: router}, VirtualClock())
        store: Store[Manifest] = Store(Manifest)
        outposts.start((GROUP, NAME), store, lambda: None)
        return outposts, store


class _Canned(HttpRouter):
    """The real client, with bytes instead of a connection."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(Partner(name=NAME, url="http://127.0.0.1:9"))
        self._answer = answer

    async def _call(self, method: str, path: str, *, body: bytes | None = None) -> bytes:
        del method, body
        return b'{"name": "x", "contracts": ["v1"], "features": ["weights"]}' if path.endswith("/router") else self._answer


@given(states=st.lists(_states(), max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_router_holds_the_documents_can_be_read(states: list[object]) -> None:
    outposts, store = Said(msgspec.json.encode({"states": states})).outposts()

    _run(outposts)

    for document in store.values():
        if document["metadata"].get("namespace"):
            held = read_state(document)
            assert held.traffic is not None or held.silence
        else:
            assert read_self(document).listed


@given(answer=st.binary(max_size=60) | _json.map(msgspec.json.encode))
@settings(max_examples=150, deadline=None)
def test_whatever_a_router_answers_it_is_told_as_its_fault(answer: bytes) -> None:
    outposts, store = Said(answer).outposts()

    _run(outposts)

    (document,) = (each for each in store.values() if not each["metadata"].get("namespace"))
    known = read_self(document)
    assert known.listed != bool(known.silence)
    assert known.listed or NAME in known.silence


def _run(outposts: Outposts) -> None:
    work = outposts.look(NAME)
    with pytest.raises(StopIteration):
        work.send(None)
