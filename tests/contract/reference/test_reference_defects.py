"""Is every known defect of the reference controller on our page, with a test that exists?"""

import ast
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[3]
PAGE: Final = REPOSITORY / "docs" / "reference-defects.md"
REFERENCE: Final = REPOSITORY.parent / "shared" / "reference" / "rollout-lifecycle.md"
COMPLETE: Final = ("12.1", "12.2", "12.3", "12.4", "12.5")
"""The sections of the reference of which the page has every row."""
COVERING: Final = re.compile(r"`([a-z_/0-9]+\.py)::(test_[A-Za-z0-9_]+)`")


def rows(text: str) -> Mapping[str, Sequence[Sequence[str]]]:
    """Give the cells of each table row by the section that it stands in."""
    found: dict[str, list[list[str]]] = {}
    section = ""
    for line in text.splitlines():
        heading = re.match(r"#+ (\d+\.\d+) ", line)
        if heading is not None or line.startswith("#"):
            section = heading.group(1) if heading is not None else ""
        cells = [cell.strip() for cell in line.split(" | ")] if line.startswith("| ") and section else []
        if cells and cells[0] != "| Source":
            found.setdefault(section, []).append([cell.removeprefix("| ").removesuffix(" |") for cell in cells])
    return found


OURS: Final = rows(PAGE.read_text())


@cache
def defined_in(file: str) -> frozenset[str]:
    """Name the tests of a file under `tests/`."""
    path = REPOSITORY / "tests" / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_says_what_is_wrong_there_what_tiphys_does_and_what_proves_it() -> None:
    found = [row for table in OURS.values() for row in table]

    assert [row for row in found if len(row) != 4 or not all(row) or not COVERING.search(row[-1])] == []


def test_every_covering_test_exists() -> None:
    named = [(file, name) for table in OURS.values() for row in table for file, name in COVERING.findall(row[-1])]

    assert named
    assert [f"{file}::{name}" for file, name in named if name not in defined_in(file)] == []


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is not on this machine")
@pytest.mark.parametrize("section", COMPLETE)
def test_every_known_defect_has_a_row(section: str) -> None:
    """In the order of the reference, because several rows have the same source."""
    theirs = rows(REFERENCE.read_text())

    assert [row[0] for row in OURS[section]] == [row[0] for row in theirs[section]]


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference is not on this machine")
def test_every_cheap_win_has_a_row() -> None:
    """Section 12.6 is a list, not a table."""
    part = REFERENCE.read_text().partition("\n### 12.6 ")[2].partition("\n#")[0]

    assert [row[0] for row in OURS["12.6"]] == re.findall(r"^([0-9]+)\. ", part, re.MULTILINE)
