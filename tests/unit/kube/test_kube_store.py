"""Does a store know what the server has, and say so once?"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from tiphys.api.meta import ObjectMeta
from tiphys.kube.store import IndexBy, Key, Store, Unreadable

A, B = Key("ns", "a"), Key("ns", "b")


class Widget(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    size: int = 0
    template: msgspec.Raw = msgspec.Raw()


def widget(name: str = "a", *, version: int = 1, uid: str = "", size: int = 0) -> Widget:
    return Widget(ObjectMeta(namespace="ns", name=name, uid=uid or f"uid-{name}", resource_version=str(version)), size=size)


def store(*, indexes: Mapping[str, IndexBy[Widget]] | None = None, own: Callable[[Widget], Widget] | None = None) -> Store[Widget]:
    return Store(Widget, indexes=indexes, own=own, settle=lambda: None)


class Heard:
    """Remembers what a handler is told: (name, size before, size after)."""

    def __init__(self, of: Store[Widget]) -> None:
        self.all: list[tuple[str, int | None, int | None]] = []
        of.subscribe(self)

    def __call__(self, key: Key, old: Widget | None, new: Widget | None) -> None:
        self.all.append((key.name, old.size if old else None, new.size if new else None))


def test_rule_1_a_new_list_tells_only_what_is_different() -> None:
    known = store()
    known.replace([widget("same", version=1), widget("changed", version=2), widget("gone", version=3)], [], "3")
    same = known.get("ns", "same")
    heard = Heard(known)
    heard.all.clear()

    known.begin_list()
    known.replace([widget("same", version=1), widget("changed", version=5, size=7), widget("new", version=6, size=8)], [], "6")

    assert heard.all == [("changed", 0, 7), ("new", None, 8), ("gone", 0, None)]
    assert known.get("ns", "same") is same
    assert known.synced.is_set()


def test_rule_7_a_reply_is_taken_in_only_if_it_is_newer() -> None:
    known = store()
    known.replace([widget(version=5, size=5)], [], "5")

    assert known.accept(widget(version=7, size=7))
    assert not known.accept(widget(version=6, size=6))
    assert not known.accept(widget(version=7, size=70))
    assert known.values() == [widget(version=7, size=7)]


def test_rule_7_versions_are_compared_as_numbers() -> None:
    known = store()
    known.replace([widget(version=9)], [], "9")

    assert known.accept(widget(version=10, size=1))


def test_rule_7_an_older_event_does_not_undo_an_own_write() -> None:
    known = store()
    known.replace([widget(version=5)], [], "5")
    known.accept(widget(version=8, size=8))
    heard = Heard(known)
    heard.all.clear()

    known.upsert(widget(version=6, size=6))
    known.upsert(widget(version=8, size=8))

    assert known.values() == [widget(version=8, size=8)]
    assert heard.all == []

    known.upsert(widget(version=9, size=9))

    assert heard.all == [("a", 8, 9)]


def test_rule_7_a_late_reply_does_not_bring_back_a_deleted_object() -> None:
    known = store()
    known.replace([widget(version=5)], [], "5")
    known.remove(A, "9")

    assert not known.accept(widget(version=8))
    assert A not in known


def test_rule_7_what_was_made_while_a_list_was_read_survives_that_list() -> None:
    known = store()
    known.replace([widget("b", version=3)], [], "3")

    known.begin_list()
    known.accept(widget("a", version=9, size=9))
    known.accept(widget("b", version=10, size=10))
    known.replace([widget("b", version=3)], [], "8")

    assert known.values() == [widget("b", version=10, size=10), widget("a", version=9, size=9)]


def test_a_server_restored_from_a_backup_counts() -> None:
    known = store()
    known.replace([widget("a", version=500, size=1), widget("b", version=501)], [], "501")
    known.accept(widget("a", version=502, size=2))

    known.begin_list()
    known.replace([widget("a", version=300, size=3)], [], "310")

    assert known.values() == [widget("a", version=300, size=3)]
    assert known.version == "310"


def test_rule_6_an_unreadable_object_keeps_its_key_and_its_last_state() -> None:
    known = store(indexes={"size": lambda each: [each.size]})
    known.replace([widget(version=5, size=5)], [], "5")
    heard = Heard(known)
    heard.all.clear()

    known.spoil(Unreadable(A, "6", "Expected int"))
    known.spoil(Unreadable(A, "6", "Expected int"))

    assert known.broken == {A: "Expected int"}
    assert known.by_index("size", 5) == [widget(version=5, size=5)]
    assert heard.all == [("a", 5, 5)]


def test_rule_6_an_object_that_never_was_readable_is_there_all_the_same() -> None:
    known = store()
    heard = Heard(known)

    known.replace([], [Unreadable(A, "6", "Expected int")], "6")

    assert (A in known, known.keys(), known.get("ns", "a")) == (True, [A], None)
    assert heard.all == [("a", None, None)]

    known.remove(A, "7")

    assert (A in known, known.broken) == (False, {})
    assert heard.all == [("a", None, None)] * 2


def test_rule_6_a_readable_state_heals() -> None:
    known = store()
    known.replace([widget(version=5)], [Unreadable(B, "5", "bad")], "5")
    known.spoil(Unreadable(A, "6", "bad"))

    known.upsert(widget("a", version=7, size=7))
    known.upsert(widget("b", version=8, size=8))

    assert known.broken == {}
    assert [each.size for each in known.values()] == [7, 8]


def test_indexes_follow_every_change() -> None:
    known = store(indexes={"size": lambda each: [each.size, -each.size]})
    known.replace([widget("a", version=1, size=1), widget("b", version=2, size=1)], [], "2")

    known.upsert(widget("a", version=3, size=4))
    known.remove(B, "4")

    assert known.by_index("size", 1) == []
    assert known.by_index("size", -4) == [widget("a", version=3, size=4)]
    assert known.index_values("size") == [4, -4]


def test_an_object_that_was_deleted_and_made_again_is_two_changes() -> None:
    known = store()
    known.replace([widget(version=1, uid="first", size=1)], [], "1")
    heard = Heard(known)

    known.upsert(widget(version=3, uid="second", size=2))

    assert heard.all == [("a", None, 1), ("a", 1, None), ("a", None, 2)]


def test_rule_7_an_own_re_creation_survives_the_deletion_before_it() -> None:
    known = store()
    known.replace([widget(version=1, uid="first", size=1)], [], "1")
    known.accept(widget(version=5, uid="second", size=2))

    known.remove(A, "4")

    assert known.values() == [widget(version=5, uid="second", size=2)]


def test_who_subscribes_late_hears_of_what_is_there_and_may_leave() -> None:
    known = store()
    known.replace([widget(size=3)], [], "1")
    told: list[Key] = []

    leave = known.subscribe(lambda key, _old, _new: told.append(key))
    leave()
    known.upsert(widget("b", version=2))

    assert told == [A]


def test_raw_parts_are_made_independent_of_the_page_they_came_from() -> None:
    page = b'{"metadata": {"namespace": "ns", "name": "a", "resourceVersion": "2"}, "template": {"x": 1}}'
    decoded = msgspec.json.decode(page, type=Widget)
    known = store(own=lambda each: msgspec.structs.replace(each, template=each.template.copy()))

    known.upsert(decoded)

    kept = known.get("ns", "a")
    assert kept is not None
    assert (bytes(kept.template), kept.template is decoded.template) == (b'{"x": 1}', False)


def test_memory_is_settled_after_each_list() -> None:
    settled: list[int] = []
    known = Store(Widget, settle=lambda: settled.append(1))

    known.replace([], [], "1")
    known.upsert(widget(version=2))
    known.begin_list()
    known.replace([], [], "3")

    assert settled == [1, 1]


def test_dicts_have_an_identity_too() -> None:
    known = Store(dict[str, Any], settle=lambda: None)

    known.upsert({"metadata": {"name": "wide", "uid": "u", "resourceVersion": "4"}})

    assert known.keys() == [Key("", "wide")]
    assert known.version == "4"


def test_an_unknown_index_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="owner"):
        store().by_index("owner", "x")
