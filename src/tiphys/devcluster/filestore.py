"""How do a cluster's objects live on in a file, through the sudden end of its process? (Decision 0027)"""

import os
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tiphys.api.errors import TiphysError
from tiphys.devcluster.errors import StatusError
from tiphys.devcluster.history import Stored
from tiphys.devcluster.rules import Manifest

APPLICATION = 0x54495048
"""Marks SQLite files as ours, in their header."""

FORMAT = 1
"""Which tables are in the file; a newer one is refused."""

_HEADER, _MAGIC = 100, b"SQLite format 3\0"
_WANTED = "wanted one that `tiphys devcluster --data` made, or none; it was left as it is"
_TABLES = """
CREATE TABLE objects (
    api_group TEXT NOT NULL, plural TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, manifest BLOB NOT NULL,
    PRIMARY KEY (api_group, plural, namespace, name)
);
CREATE TABLE written (version INTEGER NOT NULL);
INSERT INTO written VALUES (0);
"""
_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM objects WHERE api_group = ? AND plural = ? AND namespace = ? AND name = ?"


class DataError(TiphysError):
    """A file cannot hold the state of a development cluster."""


class FileStore:
    """
    The journal of a cluster in one SQLite file: `with FileStore(path) as journal`.

    A file that is not there is made. The file belongs to one process at a time.

    Raises: DataError, naming the file, which stays as it is: it is foreign, damaged, newer, in use or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path.resolve()
        self._broken: str = ""
        self._tell: Callable[[BaseException], None] = lambda _: None
        self._open = False
        try:
            if not path.exists() or (path.is_file() and path.stat().st_size == 0):
                _make(path)
            _check_header(path)
            self._kept = _read(path)
            self._file = _connected(path)
        except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
            raise DataError(f"{path}: {_why(error)}") from error

    def version(self) -> int:
        """Give the version of the last write that was kept when the file was opened."""
        return self._kept[0]

    def objects(self) -> Iterator[tuple[tuple[str, str], Manifest]]:
        """Give everything that was kept when the file was opened, once."""
        kept, self._kept = self._kept[1], (self._kept[0], [])
        yield from kept

    def put(self, kind: tuple[str, str], stored: Stored) -> None:
        """Take note of a write."""
        self._note(stored.version, _PUT, (*kind, stored.namespace, stored.name, stored.encoded))

    def remove(self, kind: tuple[str, str], stored: Stored) -> None:
        """Take note of an object's end."""
        self._note(stored.version, _REMOVE, (*kind, stored.namespace, stored.name))

    def settle(self) -> None:
        """
        End the transaction: the operating system has what was noted, and the end of this process does not touch it.

        Raises:
            StatusError: 500, the file could not be written, now or before; `when_broken` is told.

        """
        if self._open and not self._broken:
            try:
                self._file.execute("COMMIT")
                self._open = False
            except sqlite3.Error as error:
                self._break(error)
        if self._broken:
            raise StatusError(500, f"Internal error occurred: {self._broken}")

    def when_broken(self, tell: Callable[[BaseException], None]) -> None:
        """Call *tell* if a write cannot be kept: what the process has in memory is then ahead of the file, and it should end."""
        self._tell = tell

    def close(self) -> None:
        """End the use of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """Give the journal."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def _note(self, version: int, statement: str, values: tuple[Any, ...]) -> None:
        if self._broken:
            return
        try:
            if not self._open:
                self._file.execute("BEGIN IMMEDIATE")
                self._open = True
            self._file.execute(statement, values)
            self._file.execute("UPDATE written SET version = ?", (version,))
        except sqlite3.Error as error:
            self._break(error)

    def _break(self, error: sqlite3.Error) -> None:
        self._broken = f"{self.path}: cannot be written: {error}"
        self._tell(DataError(self._broken))


def _make(path: Path) -> None:
    """Make an empty file whole or not at all: it is renamed when it is ready."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(name, isolation_level=None)) as made:
            made.execute(f"PRAGMA application_id = {APPLICATION}")
            made.execute(f"PRAGMA user_version = {FORMAT}")
            made.executescript(f"BEGIN; {_TABLES} COMMIT;")
            made.execute("PRAGMA journal_mode = WAL")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _check_header(path: Path) -> None:
    """Look at the beginning of a file without SQLite, which might write beside it."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if len(head) < _HEADER or not head.startswith(_MAGIC):
        raise DataError(f"{path}: found a file of another kind, {_WANTED}")
    known, application = struct.unpack(">I", head[60:64])[0], struct.unpack(">I", head[68:72])[0]
    if application != APPLICATION:
        raise DataError(f"{path}: found another program's SQLite file, {_WANTED}")
    if known != FORMAT:
        raise DataError(f"{path}: found format {known}, wanted {FORMAT}: another version of tiphys wrote it; it was left as it is")


def _read(path: Path) -> tuple[int, list[tuple[tuple[str, str], Manifest]]]:
    """Give the last version and all objects, without the right to write."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as file:
        (verdict,) = file.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict))
        (version,) = file.execute("SELECT version FROM written").fetchone()
        rows = file.execute("SELECT api_group, plural, manifest FROM objects")
        return version, [((group, plural), msgspec.json.decode(manifest)) for group, plural, manifest in rows]


def _connected(path: Path) -> sqlite3.Connection:
    """
    Open the file for ourselves alone.

    A commit goes to the operating system without waiting for the disk (NORMAL): nothing is lost with the process.
    """
    file = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    try:
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        file.execute("PRAGMA synchronous = NORMAL")
        file.execute("BEGIN EXCLUSIVE")
        file.execute("COMMIT")
    except BaseException:
        file.close()
        raise
    return file


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}; it was left as it is"
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return "is in use by another development cluster, wanted a file of its own"
    return f"is damaged: {error}; it was left as it is"
