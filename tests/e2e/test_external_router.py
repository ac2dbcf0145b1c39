"""Does the example of an external router do what its page says, and does it keep the contract?"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from terminal import REPOSITORY, Terminal

EXAMPLE = REPOSITORY / "examples" / "external-router"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run the example beside something that answers as a Traefik which takes everything at once."""

    async def taken(_: web.Request) -> web.Response:
        return web.json_response({"status": "enabled"})

    app = web.Application()
    app.add_routes([web.get("/ping", taken), web.get("/api/http/routers/{name}", taken)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    traefik = f"http://127.0.0.1:{runner.addresses[0][1]}"
    argv = [str(EXAMPLE / "router.py"), "--port", "0", "--folder", str(tmp_path / "router"), "--traefik", traefik]
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        said = await asyncio.wait_for(process.stdout.readline(), 30)
        yield f"http://127.0.0.1:{said.decode().split()[-1]}"
    finally:
        process.terminate()
        await process.wait()
        await runner.cleanup()


async def test_the_example_keeps_every_promise_of_the_contract(address: str, tmp_path: Path) -> None:
    terminal = Terminal(home=tmp_path, kubeconfig=tmp_path / "none", folder=tmp_path)

    said = await terminal.says("tiphys", "router-check", address, "--config", '{"host": "check.example"}')

    lines = said.splitlines()
    assert lines[-1] == "every promise is kept"
    assert len(lines) == 15
    assert all(line.startswith("ok ") for line in lines[:-1])


async def test_a_promise_that_is_not_kept_ends_the_check_with_status_1(address: str, tmp_path: Path) -> None:
    terminal = Terminal(home=tmp_path, kubeconfig=tmp_path / "none", folder=tmp_path)
    process = await terminal.start("tiphys", "router-check", address, "--config", '{"host": "NO HOST"}')

    out, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 1
    assert "BROKEN a wish is taken, and the answer says what was wished" in out.decode()
    assert "plugins[(checked)].host: Required value: the host whose requests are shared" in out.decode()


async def test_a_rollout_goes_through_the_example_and_no_request_fails() -> None:
    """Image change, shares, the router killed and started again, header route, promotion, abort: `show.py` measures it all."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE / "show.py"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )

    out, err = await asyncio.wait_for(process.communicate(), 300)

    said = out.decode()
    assert process.returncode == 0, said + err.decode()
    assert re.search(r"version 2 at 20 %: (18|19|20|21|22) of 100 requests", said)
    assert re.search(r"version 2 at 60 %: (58|59|60|61|62) of 100 requests", said)
    assert "the Rollout waits at step 2: router example.com/traefik: cannot reach" in said
    assert "the router is back: the Rollout went on by itself" in said
    assert "version 2: 20 of 20 requests with the header" in said
    assert "version 3, aborted: 100 of 100 requests" in said
    assert "version 3, aborted: 0 of 20 requests with the header" in said
    assert re.search(r"\d{3,} requests, 0 failed\neverything as promised\n$", said)
