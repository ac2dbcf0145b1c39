"""What did a translation give the last time a person looked at it?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parent / "golden"

Json = object


@dataclass(frozen=True, slots=True)
class Case:
    """One `<name>.in.yaml` and what came of it: `<name>.out.yaml` for data, `<name>.out.txt` for text."""

    folder: Path
    name: str

    def __str__(self) -> str:
        return self.name

    def given(self) -> list[Json]:
        """Read the documents of the input."""
        return list(yaml.safe_load_all((self.folder / f"{self.name}.in.yaml").read_text(encoding="utf-8")))

    def compare(self, actual: Json, *, update: bool) -> None:
        """Compare *actual* with what is written, or write it down if *update*; a difference is shown as text."""
        kept = self.folder / f"{self.name}.out.{'txt' if isinstance(actual, str) else 'yaml'}"
        text = actual if isinstance(actual, str) else _dumped(actual)
        if update:
            kept.write_text(text, encoding="utf-8")
        elif not kept.exists():
            pytest.fail(f"{kept.name} does not exist; write it with --update-golden and read it")
        assert text == kept.read_text(encoding="utf-8"), f"{kept.name} differs; --update-golden rewrites it, the diff is the review"


Golden = Callable[[Case, Json], None]
"""What the fixture `golden` gives: compare a case with what came out."""


def cases(unit: str) -> list[Case]:
    """
    Give the cases of `tests/golden/<unit>`, for `pytest.mark.parametrize("case", cases("traffic/istio"), ids=str)`.

    Raises:
        FileNotFoundError: there are none.

    """
    folder = FOLDER / unit
    found = [Case(folder, path.name.removesuffix(".in.yaml")) for path in sorted(folder.glob("*.in.yaml"))]
    if not found:
        raise FileNotFoundError(folder / "*.in.yaml")
    return found


def orphans(folder: Path = FOLDER) -> list[str]:
    """Name the outputs without input, the inputs without output, and the cases of folders above which no test stands."""
    given = {path.with_name(path.name.removesuffix(".in.yaml")): path for path in folder.rglob("*.in.yaml")}
    kept = {path.with_name(path.name.rpartition(".out.")[0]): path for path in folder.rglob("*.out.*")}
    lonely = [path for stem, path in {**given, **kept}.items() if (stem in given) != (stem in kept)]
    unread = [path for path in given.values() if not any(path.parent.glob("test_*.py")) and not any(path.parent.parent.glob("test_*.py"))]
    return sorted({str(path.relative_to(folder)) for path in (*lonely, *unread)})


def _dumped(value: Json) -> str:
    return yaml.dump_all([value], Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    """Writes the same value twice instead of pointing back at it."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  the dumper's own signature
        return True
