"""How do probes and Prometheus reach the controller?"""

from collections.abc import Callable, Mapping

import structlog
from aiohttp import web

from tiphys.api.errors import TiphysError
from tiphys.kube.resources import Resource

log = structlog.get_logger("tiphys.controller")

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class PortError(TiphysError):
    """A port that the operator chose cannot be used."""


class Reachability:
    """
    Whether the API server answers, from what every request met.

    Says so in the log once per change, not once per request.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self.problem = "the API server has not answered yet"
        self._was_down = False
        self._was_refused = False

    @property
    def down(self) -> bool:
        """Tell whether the last request got no answer, or was told that we are not known."""
        return self._was_down or self._was_refused

    def requested(
        self, _verb: str, _resource: Resource | None, _namespace: str | None, _name: str | None, status: int, _seconds: float
    ) -> None:
        """Take note of one request; status 0 means that nobody answered."""
        if status == 0:
            self.problem = f"the API server {self._server} cannot be reached"
            if not self._was_down:
                self._was_down = True
                log.error("API server cannot be reached, trying on", server=self._server)
            return
        if self._was_down:
            self._was_down = False
            log.info("API server answers again", server=self._server)
        refused = status == 401
        if refused and not self._was_refused:
            log.error("API server does not accept our credentials, trying on", server=self._server)
        self._was_refused = refused
        self.problem = f"the API server {self._server} does not accept our credentials" if refused else ""


class Pages:
    """
    Serves `/healthz` and `/readyz` on one port and `/metrics` on another.

    *problems* says why the controller is not ready; nothing means that it is. `ports` names the ports in use, once started.
    """

    def __init__(self, *, host: str, metrics: Callable[[], bytes], problems: Callable[[], tuple[str, ...]]) -> None:
        self._host = host
        self._metrics = metrics
        self._problems = problems
        self._runners: list[web.AppRunner] = []
        self._ports: dict[str, int] = {}

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports in use: `metrics` and `health`."""
        return self._ports

    async def start(self, *, metrics_port: int | None, health_port: int | None) -> None:
        """
        Begin to serve; no port, no page.

        Raises:
            PortError: a port is taken.

        """
        if metrics_port is not None:
            await self._serve("metrics", metrics_port, [web.get("/metrics", self._show_metrics)])
        if health_port is not None:
            await self._serve("health", health_port, [web.get("/healthz", _healthy), web.get("/readyz", self._show_readiness)])

    async def stop(self) -> None:
        """End serving."""
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()

    async def _serve(self, name: str, port: int, routes: list[web.RouteDef]) -> None:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, self._host, port).start()
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
            raise PortError(f"the {name} port: found {self._host}:{port} ({problem}), wanted one that is free") from error
        self._ports[name] = runner.addresses[0][1]

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": PROMETHEUS_TEXT})

    async def _show_readiness(self, _request: web.Request) -> web.Response:
        problems = self._problems()
        return web.Response(text="\n".join(problems) or "ok", status=503 if problems else 200)


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")
