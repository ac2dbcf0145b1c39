"""Are the choices of an operator read properly, from options and from the environment?"""

import click
import pytest
from click.testing import CliRunner

from tiphys.cli.main import root
from tiphys.cli.run import controller

INTERVAL = "ROLLOUT_VERIFY_RETRY_INTERVAL"


def interval(*arguments: str, **environment: str) -> float:
    with CliRunner(env=environment).isolation(), controller.make_context("controller", [*arguments], obj={}) as context:
        found: float = context.params["verify_interval"]
    return found


def test_the_interval_between_two_questions_is_ten_seconds_unless_somebody_says_otherwise() -> None:
    assert interval() == 10.0
    assert interval(**{INTERVAL: "30"}) == 30.0
    assert interval(**{INTERVAL: "0.5"}) == 0.5
    assert interval("--verify-retry-interval", "2", **{INTERVAL: "30"}) == 2.0


@pytest.mark.parametrize("value", ["soon", "10s", "0", "-1", "nan", "inf"])
def test_an_interval_that_is_none_is_refused_by_the_name_of_the_variable(value: str) -> None:
    done = CliRunner().invoke(root, ["controller"], env={INTERVAL: value}, obj={})

    assert done.exit_code == click.UsageError.exit_code
    assert f"(env var: '{INTERVAL}')" in done.output
    assert value in done.output
