"""How much did the settle tests look at? (Told at the end of every run, also of a parallel one.)"""

from collections import Counter

import pytest

from settling.world import FIGURES

_TOTAL: Counter[str] = Counter()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give this process's figures to whoever sums up."""
    output = getattr(session.config, "workeroutput", None)
    if output is None:
        _TOTAL.update(FIGURES)
    else:
        output["settle"] = dict(FIGURES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take the figures of a worker that has ended."""
    _TOTAL.update(getattr(node, "workeroutput", {}).get("settle", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sums."""
    if _TOTAL:
        terminalreporter.write_line("settle tests: " + ", ".join(f"{count:,} {what}" for what, count in _TOTAL.items()))
