"""The main job, as a user starts it: real processes, real requests, counted three times."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

TIPHYS = Path(sys.executable).with_name("tiphys")


async def demo(scenario: str, folder: Path) -> tuple[int, dict[str, Any], str]:
    picture = folder / "demo.svg"
    arguments = ("demo", "--scenario", scenario, "--json", "--picture", str(picture))
    process = await asyncio.create_subprocess_exec(
        TIPHYS,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key != "KUBECONFIG"},
    )
    output, errors = await asyncio.wait_for(process.communicate(), timeout=90)
    assert output.count(b"\n") == 1, errors.decode()
    assert picture.read_text().lstrip().startswith("<?xml")
    return process.returncode or 0, json.loads(output), errors.decode()


@pytest.mark.parametrize("scenario", ["promote", "abort", "supersede", "evict"])
async def test_a_scenario_takes_place_and_loses_no_request(scenario: str, tmp_path: Path) -> None:
    status, told, errors = await demo(scenario, tmp_path)

    assert status == 0, errors
    assert told["scenario"] == scenario
    assert told["failed"] == told["proxy"]["failed"] == 0
    assert told["requests"] == told["proxy"]["requests"] == sum(pod["served"] for pod in told["pods"])
    assert told["seconds"] < 60
    assert any(step["wanted"] > 0 and step["requests"] > 100 for step in told["steps"])
    assert told["rollout"]["phase"] == ("Degraded" if scenario == "abort" else "Healthy")
