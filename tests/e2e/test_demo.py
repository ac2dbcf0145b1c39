"""The main job, as a user starts it: real processes, real requests, counted three times."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

TIPHYS = Path(sys.executable).with_name("tiphys")


async def demo(scenario: str, folder: Path, *, routers: str = "istio", rate: int = 200) -> tuple[int, dict[str, Any], str]:
    picture = folder / "demo.svg"
    arguments = ("demo", "--scenario", scenario, "--router", routers, "--rate", str(rate), "--json", "--picture", str(picture))
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


@pytest.mark.parametrize(("routers", "scenario"), [("traefik", "promote"), ("istio,traefik", "promote"), ("gateway,nginx", "evict")])
async def test_each_router_gets_its_share_and_loses_no_request(routers: str, scenario: str, tmp_path: Path) -> None:
    status, told, errors = await demo(scenario, tmp_path, routers=routers, rate=100)

    assert status == 0, errors
    assert told["routers"] == routers.split(",")
    assert [entry["router"] for entry in told["entries"]] == told["routers"]
    assert told["failed"] == told["proxy"]["failed"] == 0
    assert told["requests"] == told["proxy"]["requests"] == sum(pod["served"] for pod in told["pods"])
    for router in told["routers"]:
        steps = [step for step in told["steps"] if step["router"] == router]
        assert {step["wanted"] for step in steps} >= ({20, 40, 60, 80} if scenario == "promote" else {20, 50})
        assert all(step["exact"] is (router != "istio") for step in steps)
        assert all(abs(step["measured"] - step["wanted"]) <= step["allowed"] + 0.01 for step in steps)
    assert told["rollout"]["phase"] == "Healthy"


async def test_a_router_without_a_data_plane_is_refused_by_name(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        TIPHYS, "demo", "--router", "istio,appMesh", cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), timeout=60)

    assert process.returncode == 1
    assert output.decode().startswith(
        "Error: router: found 'appMesh' (App Mesh: nothing that serves its objects runs outside of AWS), wanted"
    )


@pytest.mark.parametrize("late", ["0s", "3s"])
async def test_blue_green_updates_lose_no_request_however_late_a_proxy_is(late: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        TIPHYS, "demo", "--strategy", "bluegreen", "--proxy-delay", late, "--rate", "100", "--json",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), timeout=90)
    told = json.loads(output)

    assert process.returncode == 0, errors.decode()
    assert told["failed"] == told["proxy"]["failed"] == 0
    assert told["requests"] == told["proxy"]["requests"] == sum(pod["served"] for pod in told["pods"])
    assert {entry["router"] for entry in told["entries"]} == {"istio", "traefik"}
    assert all(entry["requests"] > 200 for entry in told["entries"])
    served = {pod["hash"] for pod in told["pods"] if pod["served"]}
    assert (len({pod["hash"] for pod in told["pods"]}), len(served)) == (3, 2), "the aborted version never served anybody"
    assert told["rollout"]["phase"] == "Degraded"


async def test_options_of_the_canary_are_refused_beside_blue_green(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        TIPHYS, "demo", "--strategy", "bluegreen", "--scenario", "abort",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), timeout=60)

    assert process.returncode != 0
    assert "--strategy bluegreen: takes no scenario" in output.decode()
