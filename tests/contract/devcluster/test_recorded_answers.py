"""
How much of what real API servers answered does the development cluster answer too?

The recordings and the program that replays them lie beside the repository; what does not pass has to be listed, with
its reason, in docs/devcluster-differences.md.
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
LISTED = set(re.findall(r"^\| `([\w-]+/[\w-]+)` \|", (ROOT / "docs" / "devcluster-differences.md").read_text(), re.MULTILINE))

# Built-in kinds were recorded on 1.20.2 only, which kept managedFields otherwise and knew older versions of some kinds.
# A Deployment's ReplicaSets are named by a hash of what 1.20's Go structures print: any hash will do, if it is one everywhere.
OLDER = (
    "--ignore",
    "managedFields",
    "--rewrite",
    "discovery.k8s.io/v1beta1=discovery.k8s.io/v1",
    "--rewrite",
    "policy/v1beta1=policy/v1",
    "--rewrite",
    "6f9dc766cc=$hash9",
)


def passed(outcome: Path) -> dict[str, bool]:
    return {result["scenario"]: result["passed"] for result in json.loads(outcome.read_text())}


async def replay(url: str, outcome: Path, *arguments: str) -> dict[str, bool]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(RECORDINGS / "replay_check.py"),
        url,
        "--json",
        str(outcome),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode in (0, 1), printed.decode()
    return passed(outcome)


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings lie beside the repository, and only there")
@pytest.mark.parametrize(
    ("topic", "arguments", "wanted"),
    [
        ("1-custom-resources", ("--server", "1.36-crd"), 0.97),
        ("2-workloads", OLDER, 0.7),
        ("3-watches", ("--server", "1.36-crd"), 0.93),
    ],
)
async def test_recorded_requests_get_the_recorded_answers(topic: str, arguments: tuple[str, ...], wanted: float, tmp_path: Path) -> None:
    async with DevCluster(api=ApiServer, pods=False) as cluster:
        assert cluster.url is not None
        outcome = await replay(cluster.url, tmp_path / "outcome.json", "--topic", topic, *arguments)

    failed = {scenario for scenario, passed in outcome.items() if not passed}
    assert failed == {scenario for scenario in LISTED if scenario in outcome}
    assert 1 - len(failed) / len(outcome) >= wanted
