"""How does a shell learn to complete our commands?"""

import click
from click.shell_completion import get_completion_class

from tiphys.cli.options import Connected


@click.command(cls=Connected)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """
    Print the script that completes commands and the names of rollouts, for the shell to read.

    For example in ~/.bashrc: source <(tiphys completion bash)
    """
    known = get_completion_class(shell)
    if known is None:
        raise AssertionError(f"click knows no shell {shell}")
    root = click.get_current_context().find_root().command
    click.echo(known(root, {}, "tiphys", "_TIPHYS_COMPLETE").source())
