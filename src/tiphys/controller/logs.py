"""How do log lines look, and which are left out?"""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(*, level: str, form: str, quiet: Callable[[], bool]) -> None:
    """
    Send log lines to standard error, as text or (*form* `json`) one JSON object per line.

    While *quiet* (the API server is away, which was said once), what every watch says about its own failure is left out.
    """

    def without_echoes(_logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if line.get("event") in {"watch failed", "kind not looked up"} and quiet():
            raise structlog.DropEvent
        return line

    # Tracebacks without the values of variables: they could be secrets.
    text = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = structlog.processors.JSONRenderer() if form == "json" else text
    exceptions = [structlog.processors.format_exc_info] if form == "json" else []
    structlog.configure(
        processors=[
            without_echoes,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
