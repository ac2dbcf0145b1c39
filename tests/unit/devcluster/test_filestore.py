"""Does what was written to a development cluster's file come back, and are other files left alone?"""

import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from devcluster_objects import Manifest
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.filestore import APPLICATION, FORMAT, DataError, FileStore
from tiphys.devcluster.kinds import CONFIG_MAPS, CRDS, NAMESPACES, SERVICES
from tiphys.devcluster.patching import PatchKind
from tiphys.devcluster.storage import Store

WIDGETS: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}


def config_map(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def widget(name: str) -> Manifest:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, "namespace": "default"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cluster.db"


def everything(store: Store) -> dict[tuple[str, str, str], Manifest]:
    return {(found.kind, each.namespace, each.name): each.manifest for found in store.registry for each in store.scan(found)}


def test_objects_come_back_as_they_were_and_versions_go_on_rising(path: Path) -> None:
    with FileStore(path) as journal:
        store = Store(journal=journal)
        store.create(CRDS, WIDGETS)
        store.create(store.registry.of_manifest(widget("a")), widget("a"))
        store.create(CONFIG_MAPS, config_map("kept", a="1"))
        store.patch(CONFIG_MAPS, "kept", PatchKind.MERGE, {"data": {"a": "2"}}, namespace="default")
        service = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
        store.create(SERVICES, service)
        store.create(CONFIG_MAPS, config_map("gone"))
        store.delete(CONFIG_MAPS, "gone", namespace="default")
        before, version = everything(store), store.version

    with FileStore(path) as journal:
        store = Store(journal=journal)
        found, at_first = everything(store), store.version
        later = store.create(CONFIG_MAPS, config_map("later"))

    assert found == before
    assert found["Widget", "default", "a"]["metadata"]["uid"]
    assert at_first == version, "the end of an object is a version too"
    assert int(later["metadata"]["resourceVersion"]) == version + 1


def test_a_watch_goes_on_from_the_last_version_and_is_gone_for_older_ones(path: Path) -> None:
    with FileStore(path) as journal:
        store = Store(journal=journal)
        older = int(store.create(CONFIG_MAPS, config_map("a"))["metadata"]["resourceVersion"])
        last = int(store.create(CONFIG_MAPS, config_map("b"))["metadata"]["resourceVersion"])

    with FileStore(path) as journal:
        store = Store(journal=journal)
        watch = store.watch(CONFIG_MAPS, since=last)
        store.create(CONFIG_MAPS, config_map("c"))
        with pytest.raises(StatusError) as error:
            store.watch(CONFIG_MAPS, since=older)

    assert [(event.type, event.stored.name) for event in watch.drain()] == [("ADDED", "c")]
    assert error.value.code == 410


def test_a_definition_that_went_took_its_objects_along_in_the_file_too(path: Path) -> None:
    with FileStore(path) as journal:
        store = Store(journal=journal)
        store.create(CRDS, WIDGETS)
        store.create(store.registry.of_manifest(widget("a")), widget("a"))
        store.delete(CRDS, "widgets.example.com")

    with FileStore(path) as journal:
        store = Store(journal=journal)
        store.create(CRDS, WIDGETS)

    assert store.scan(store.registry.of_manifest(widget("a"))) == []


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE notes (text)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA application_id = {APPLICATION}")
        file.execute(f"PRAGMA user_version = {FORMAT + 1}")
        file.execute("CREATE TABLE objects (more)")


def damaged(path: Path) -> None:
    with FileStore(path) as journal:
        store = Store(journal=journal)
        for number in range(50):
            store.create(CONFIG_MAPS, config_map(f"a{number}", text="x" * 500))
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("a note to myself\n"), "found a file of another kind"),
        (foreign, "found another program's SQLite file"),
        (newer, f"found format {FORMAT + 1}, wanted {FORMAT}"),
        (damaged, "is damaged"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.symlink_to(path.parent / "nowhere" / "file"), "cannot be read"),
    ],
    ids=["text", "foreign", "newer", "damaged", "folder", "dangling"],
)
def test_a_file_that_is_none_of_ours_is_refused_by_name_and_left_as_it_is(path: Path, make: Callable[[Path], object], said: str) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(DataError) as error:
        FileStore(path)

    assert str(error.value).startswith(f"{path.resolve()}: ")
    assert said in str(error.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_file_has_one_owner_at_a_time(path: Path) -> None:
    with FileStore(path), pytest.raises(DataError, match="is in use by another development cluster"):
        FileStore(path)

    FileStore(path).close()


def test_a_write_that_cannot_be_kept_is_refused_and_told(path: Path) -> None:
    told: list[BaseException] = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with FileStore(path) as journal:
        store = Store(journal=journal)
        store.create(CONFIG_MAPS, config_map("kept"))
        journal.when_broken(told.append)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("cluster.db-wal").stat().st_size, limits[1]))
            with pytest.raises(StatusError) as error:
                store.create(CONFIG_MAPS, config_map("lost"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with pytest.raises(StatusError):
            store.create(CONFIG_MAPS, config_map("later"))

    assert (error.value.code, [type(each) for each in told]) == (500, [DataError])
    assert str(path) in error.value.message
    with FileStore(path) as journal:
        assert [each.name for each in Store(journal=journal).scan(CONFIG_MAPS)] == ["kept"]


def test_a_write_that_is_refused_leaves_nothing_behind(path: Path) -> None:
    with FileStore(path) as journal:
        store = Store(journal=journal)
        version = store.version
        with pytest.raises(StatusError):
            store.create(CONFIG_MAPS, config_map("Not A Name"))
        store.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}, dry_run=True)

    with FileStore(path) as journal:
        assert Store(journal=journal).version == version
