"""
How much of what real API servers answered does the development cluster answer too?

The recordings and the program that replays them lie beside the repository; what does not pass has to be listed, with
its reason, in docs/devcluster-differences.md. Where 1.36 was recorded, only that counts, and all of it is compared.
Where only 1.20 was, it is compared with what 1.36 is known to answer instead (`tests/replay_older.py`).
"""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from tiphys.devcluster.apiserver import ApiServer
from tiphys.devcluster.cluster import DevCluster

ROOT = Path(__file__).parents[3]
RECORDINGS = ROOT.parent / "shared" / "fixtures" / "apiserver"
PROGRAM = RECORDINGS / "replay_check.py"
LISTED = set(re.findall(r"^\| `([\w-]+/[\w-]+)` \|", (ROOT / "docs" / "devcluster-differences.md").read_text(), re.MULTILINE))
NEWER = "1.36-crd"
WANTED = 0.95

# What 1.36 can do and 1.20 refused: its recordings of the contrary do not count.
OVERTAKEN = {"3-watches/watch-list-unsupported"}


def scenarios() -> dict[str, set[str]]:
    """Every recorded scenario, with the servers that answered it."""
    found: dict[str, set[str]] = {}
    for file in sorted(RECORDINGS.glob("*.json")):
        for scenario in json.loads(file.read_text()):
            servers = found.setdefault(f"{file.stem}/{scenario['name']}", set())
            servers |= {scenario["server"], *scenario.get("sameOn", ())}
    return found


def passed(outcome: Path) -> dict[str, bool]:
    return {result["scenario"]: result["passed"] for result in json.loads(outcome.read_text())}


async def replay(outcome: Path, program: list[str], *arguments: str) -> dict[str, bool]:
    """Replay against a cluster of its own, and give which scenarios passed."""
    async with DevCluster(api=ApiServer, pods=False) as cluster:
        where = ("--json", str(outcome))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, cluster.url, *where, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        printed, _ = await process.communicate()
    assert process.returncode in (0, 1), printed.decode()
    return passed(outcome)


def only(names: set[str]) -> tuple[str, str]:
    return "--only", f"^({'|'.join(sorted(names))})$"


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings lie beside the repository, and only there")
async def test_recorded_requests_get_the_recorded_answers(tmp_path: Path) -> None:
    recorded = scenarios()
    meant = {name for name, servers in recorded.items() if name not in OVERTAKEN}
    newer = {name for name in meant if NEWER in recorded[name]}
    watches = {name for name in newer if name.startswith("3-")}
    older = sorted(meant - newer)
    adapted = [str(ROOT / "tests" / "replay_older.py"), str(PROGRAM)]

    # they wait far more than they work: side by side, each with a cluster of its own
    runs = await asyncio.gather(
        replay(tmp_path / "newer.json", [str(PROGRAM)], "--server", NEWER, *only(newer - watches)),
        replay(tmp_path / "watches.json", [str(PROGRAM)], "--server", NEWER, *only(watches)),
        *(replay(tmp_path / f"older-{part}.json", adapted, "--server", "1.20.2", *only(set(older[part::3]))) for part in range(3)),
    )

    outcome = {name: good for run in runs for name, good in run.items()}
    assert set(outcome) == meant
    failed = {name for name, good in outcome.items() if not good}
    ratio = 1 - len(failed) / len(outcome)
    sys.stdout.write(f"{len(outcome) - len(failed)} of {len(outcome)} recorded scenarios pass: {ratio:.1%}\n")
    assert failed == LISTED
    assert ratio >= WANTED
