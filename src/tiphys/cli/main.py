"""What does a person type, and which module answers? (Nothing heavy is imported before it is needed.)"""

import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from pathlib import PurePath
from typing import Final, NamedTuple

import click
from click.shell_completion import CompletionItem

from tiphys.api.errors import TiphysError
from tiphys.cli.options import Group


class Entry(NamedTuple):
    """Where a command lives, and what it does in one line."""

    place: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "get": Entry("tiphys.cli.get:get", "Show a rollout and everything that belongs to it"),
    "list": Entry("tiphys.cli.listing:list_group", "List rollouts, one per line"),
    "status": Entry("tiphys.cli.watch:status", "Tell how a rollout is, and wait until it is done"),
    "explain": Entry("tiphys.cli.explain:explain", "Tell why a rollout is not further"),
    "promote": Entry("tiphys.cli.act:promote", "Go on: past a pause, a step, or all the way"),
    "abort": Entry("tiphys.cli.act:abort", "Take all traffic back to the stable version"),
    "retry": Entry("tiphys.cli.act:retry", "Try an aborted update again"),
    "pause": Entry("tiphys.cli.act:pause", "Hold a rollout where it is"),
    "resume": Entry("tiphys.cli.act:resume", "Let a held rollout go on"),
    "restart": Entry("tiphys.cli.act:restart", "Restart the pods of a rollout"),
    "undo": Entry("tiphys.cli.change:undo", "Go back to an earlier revision"),
    "set": Entry("tiphys.cli.change:set_group", "Change the image of a rollout"),
    "create": Entry("tiphys.cli.create:create", "Create rollouts and analysis objects from files"),
    "lint": Entry("tiphys.cli.lint:lint", "Check manifests without a cluster"),
    "adopt": Entry("tiphys.cli.adopt:adopt", "Prove that a cluster can be taken over, and show the first writes"),
    "controller": Entry("tiphys.cli.run:controller", "Run the controller"),
    "devcluster": Entry("tiphys.cli.run:devcluster", "Run a cluster in one process, for trying things"),
    "demo": Entry("tiphys.cli.run:demo", "A canary through a real proxy, on this machine"),
    "router-check": Entry("tiphys.cli.routercheck:router_check", "Check whether a router in another process keeps the contract"),
    "completion": Entry("tiphys.cli.completion:completion", "Print the completion script for a shell"),
    "version": Entry("tiphys.cli.version:version", "Print the version"),
}


class LazyGroup(Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.place.partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.place} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the name of a command without importing any."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=entry.summary) for name, entry in COMMANDS.items() if name.startswith(incomplete)]


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted and not ctx.resilient_parsing:
        click.echo(f"tiphys: {version()}")
        ctx.exit()


def version() -> str:
    """Give the installed version."""
    from importlib.metadata import version as installed  # noqa: PLC0415 - costs start-up time

    return f"v{installed('tiphys')}"


root = LazyGroup(
    name="tiphys",
    help="Progressive delivery for Kubernetes: see and steer rollouts, run the controller, try it on this machine.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    params=[
        click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version.")
    ],
    invoke_without_command=True,
    callback=lambda: _help_without_command(click.get_current_context()),
)


def _help_without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def program_name(path: str) -> str:
    """Give the words that called us: as a plugin, kubectl is one of them."""
    return "kubectl tiphys" if PurePath(path).name.startswith("kubectl-tiphys") else "tiphys"


def main() -> int:
    """
    Run the command line.

    Returns:
        The exit status: 0, 1 for what went wrong (told in one message), 2 for wrong arguments, 130 when interrupted.

    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that knows no ⧉ shows a question mark instead of ending the command.
            stream.reconfigure(errors="replace")
    try:
        result = root.main(prog_name=program_name(sys.argv[0]), complete_var="_TIPHYS_COMPLETE", standalone_mode=False, obj={})
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except TiphysError as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except BrokenPipeError:
        # Whoever read us has enough; nothing may be written any more, not even at exit.
        sys.stdout = None  # the standard way to keep the interpreter from flushing
        return 1
    return result if isinstance(result, int) else 0
