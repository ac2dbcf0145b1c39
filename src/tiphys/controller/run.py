"""How does a process become a controller?"""

import asyncio
import signal
import sys

import structlog

from tiphys.api.names import FIELD_MANAGER
from tiphys.controller.health import PortError
from tiphys.controller.logs import configure_logs
from tiphys.controller.manager import Controller, RequestMeter
from tiphys.controller.settings import Settings
from tiphys.kube.client import Client
from tiphys.kube.config import load_connection
from tiphys.kube.errors import ConfigError, CredentialError

log = structlog.get_logger("tiphys.controller")

USER_AGENT = "tiphys-controller"


def run_process(settings: Settings) -> int:
    """Run a controller until a signal ends it, on uvloop where that is installed; gives the exit status."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.run(run_controller(settings))
    return uvloop.run(run_controller(settings))


async def run_controller(settings: Settings) -> int:
    """
    Run a controller until SIGTERM or SIGINT; gives the exit status.

    1 means that the configuration is wrong, a port is taken or the lease was lost. An API server that cannot be reached is no reason
    to end.
    """
    try:
        connection = load_connection(settings.connection)
    except (ConfigError, CredentialError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    meter = RequestMeter(connection.server)
    configure_logs(level=settings.log_level, form=settings.log_format, quiet=lambda: meter.reachability.down)
    async with Client(connection, user_agent=USER_AGENT, field_manager=FIELD_MANAGER, observer=meter) as client:
        controller = Controller(client, settings, meter=meter)
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop.set)
        try:
            return await _until(stop, controller)
        except PortError as error:
            sys.stderr.write(f"Error: {error}\n")
            return 1
        finally:
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(each)


async def _until(stop: asyncio.Event, controller: Controller) -> int:
    running = asyncio.create_task(controller.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        log.info("stopping")
        await controller.stop()
    by_choice = await running
    if not by_choice:
        log.error("lease lost, ending")
    return 0 if by_choice else 1
