import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tiphys.cli.main import COMMANDS, program_name, root
from tiphys.cli.options import Connected, Group, chosen
from tiphys.cli.session import OptionError, duration, overrides

HEAVY = ("aiohttp", "asyncio", "rich", "msgspec", "yaml", "matplotlib", "structlog", "uvloop")


def test_help_and_listing_import_nothing_heavy() -> None:
    program = f"""
import sys
sys.argv = ["tiphys", "--help"]
from tiphys.cli.main import main
status = main()
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules], status)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "loaded: [] 0"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_listed_is_there_and_has_help(name: str) -> None:
    done = CliRunner().invoke(root, [name, "--help"], obj={})

    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: tiphys {name} ")


@click.group(cls=Group, aliases={"ro": "rollout"})
def show() -> None:
    """A group with a command."""


@show.command("rollout", cls=Connected)
@click.argument("name")
@click.option("-w", "--watch/--no-watch", default=True)
@click.option("--full", is_flag=True)
@click.pass_context
def show_rollout(ctx: click.Context, name: str, *, watch: bool, full: bool) -> dict[str, Any]:
    return {"name": name, "watch": watch, "full": full, **chosen(ctx)}


def run(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = show.main(args=list(args), standalone_mode=False, obj={})
    return found


@pytest.mark.parametrize(
    "args",
    [
        ("-n", "shop", "rollout", "web"),
        ("rollout", "-n", "shop", "web"),
        ("ro", "web", "--namespace=shop"),
        ("--namespace", "other", "rollout", "web", "-n", "shop"),
    ],
)
def test_global_options_stand_anywhere_and_the_last_one_counts(args: Sequence[str]) -> None:
    assert run(*args) == {"name": "web", "watch": True, "full": False, "namespace": "shop"}


@pytest.mark.parametrize(
    ("args", "watch", "full"),
    [
        (("--watch=false",), False, False),
        (("--watch=true", "--full=true"), True, True),
        (("--no-watch", "--full=false"), False, False),
        (("-w=false",), False, False),
    ],
)
def test_flags_may_be_written_with_a_value(args: Sequence[str], *, watch: bool, full: bool) -> None:
    assert run("rollout", *args, "web") == {"name": "web", "watch": watch, "full": full}


def test_what_stands_after_two_dashes_is_a_name() -> None:
    assert run("rollout", "--", "--watch=false")["name"] == "--watch=false"


def test_global_options_reach_the_configuration() -> None:
    options = run("--as", "eve", "--as-group", "a", "rollout", "web", "--as-group", "b", "--insecure-skip-tls-verify", "-s", "http://x")

    found = overrides({key: value for key, value in options.items() if key not in {"name", "watch", "full"}})

    assert (found.impersonate_user, found.server, found.insecure_skip_tls_verify) == ("eve", "http://x", True)
    assert found.impersonate_groups == ("b",)


def test_a_plugin_is_called_by_both_words() -> None:
    assert program_name("/usr/bin/kubectl-tiphys") == "kubectl tiphys"
    assert program_name("tiphys") == "tiphys"


def test_a_duration_that_is_none_is_told_with_its_option() -> None:
    assert duration("1h30m", option="--in") == 5400
    with pytest.raises(OptionError, match='--in: found "5q", wanted a duration such as 30s, 10m or 1h30m'):
        duration("5q", option="--in")


def test_the_commands_are_completed_without_importing_them() -> None:
    ctx = root.make_context("tiphys", [], resilient_parsing=True)

    assert [item.value for item in root.shell_complete(ctx, "re")] == ["retry", "resume", "restart"]


@pytest.mark.parametrize("command", [["abort"], ["nonsense"], ["get", "rollout"], ["set", "image", "web", "web"], ["list", "ro", "--such"]])
def test_wrong_arguments_show_the_usage_and_end_with_status_2(command: list[str]) -> None:
    done = CliRunner().invoke(root, command, obj={})

    assert done.exit_code == 2
    assert done.stderr.startswith("Usage: tiphys ")
