"""What do the bytes of lists and watches say?"""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_fakes import line, status
from tiphys.api.meta import ObjectMeta
from tiphys.kube.errors import DecodeError, GoneError, ThrottledError
from tiphys.kube.store import Key, Unreadable
from tiphys.kube.stream import Failed, LineSplitter, Reached, Reader, Removed, Upserted


class Widget(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    size: int


META = {"namespace": "ns", "name": "a", "resourceVersion": "7"}


def reader() -> Reader[Widget]:
    return Reader(Widget, where="widgets")


@given(st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.data())
def test_rule_5_lines_do_not_depend_on_where_chunks_end(lines: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(each + b"\n" for each in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=10)))
    splitter = LineSplitter()

    got = [each for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) for each in splitter.feed(sent[start:end])]

    assert got == [each for each in lines if each]


def test_rule_5_a_line_may_be_longer_than_any_limit() -> None:
    splitter = LineSplitter()
    chunk = b"x" * 65_536

    early = [splitter.feed(chunk) for _ in range(64)]

    assert early == [[]] * 64
    assert splitter.feed(b"\nrest") == [chunk * 64]


def test_an_unfinished_line_is_no_line() -> None:
    assert LineSplitter().feed(b'{"type": "ADDED"') == []


def test_events_that_can_be_read() -> None:
    thing = {"metadata": META, "size": 3}

    assert reader().event(line("ADDED", thing)) == reader().event(line("MODIFIED", thing))
    assert reader().event(line("ADDED", thing)) == Upserted(Widget(ObjectMeta(namespace="ns", name="a", resource_version="7"), size=3))
    assert reader().event(line("DELETED", thing)) == Removed(Key("ns", "a"), "7")
    assert reader().event(line("BOOKMARK", {"kind": "Widget", "metadata": {"resourceVersion": "9"}})) == Reached("9")
    assert reader().event(line("CONFETTI", thing)) is None


def test_rule_6_an_event_with_an_unreadable_object_names_it() -> None:
    event = reader().event(line("MODIFIED", {"metadata": META, "size": "big"}))

    assert event == Unreadable(Key("ns", "a"), "7", "Expected `int`, got `str` - at `$.object.size`")


def test_rule_6_an_unreadable_object_can_be_deleted() -> None:
    assert reader().event(line("DELETED", {"metadata": META, "size": "big"})) == Removed(Key("ns", "a"), "7")


def test_rule_6_one_unreadable_object_leaves_the_rest_of_its_page() -> None:
    page = {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": META, "size": "big"}, {"metadata": META, "size": 1}]}

    listed = reader().page(json.dumps(page).encode())

    assert [each.size for each in listed.items] == [1]
    assert listed.unreadable == [Unreadable(Key("ns", "a"), "7", "Expected `int`, got `str` - at `$.size`")]
    assert listed.meta.resource_version == "9"


def test_an_empty_list_may_be_null() -> None:
    assert reader().page(b'{"metadata": {"resourceVersion": "9"}, "items": null}').items == []


@pytest.mark.parametrize("data", [b"not json", b'{"items": 3}', b'{"items": [{"size": 1, "metadata": {"name": 3}}]}'])
def test_what_is_no_list_is_an_error_of_its_own(data: bytes) -> None:
    with pytest.raises(DecodeError, match="widgets"):
        reader().page(data)


@pytest.mark.parametrize("data", [b"not json", b"{}", b"[]", b'{"type": "ADDED", "object": 3}'])
def test_what_is_no_event_is_an_error_of_its_own(data: bytes) -> None:
    with pytest.raises(DecodeError, match="widgets"):
        reader().event(data)


def test_rule_4_an_error_event_is_the_error_it_speaks_of() -> None:
    gone = reader().event(line("ERROR", status(410, "Expired", "too old")))
    busy = reader().event(line("ERROR", status(429, "TooManyRequests", details={"retryAfterSeconds": 3})))

    assert isinstance(gone, Failed)
    assert isinstance(gone.error, GoneError)
    assert isinstance(busy, Failed)
    assert isinstance(busy.error, ThrottledError)
    assert busy.error.retry_after == 3.0
