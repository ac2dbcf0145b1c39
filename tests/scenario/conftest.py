"""Every scenario is told twice: as it is, and with a controller that dies after every write."""

import inspect

import pytest

from mortality import told_twice

ONE_LIFE = "one_life"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{ONE_LIFE}(why): the scenario is about what one process remembers, or about deaths of its own")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test twice unless it says why not; properties and coroutines choose their own lives."""
    tell = pyfuncitem.obj
    if pyfuncitem.get_closest_marker(ONE_LIFE) or inspect.iscoroutinefunction(tell) or hasattr(tell, "hypothesis"):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    told_twice(lambda: tell(**given))
    return True
