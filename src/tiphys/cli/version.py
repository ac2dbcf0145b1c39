"""Which version is this?"""

import platform

import click

from tiphys.cli.main import version as installed
from tiphys.cli.options import Connected


@click.command(cls=Connected)
@click.option("--short", is_flag=True, help="Only the version.")
def version(*, short: bool) -> None:
    """Print the version of the command, and of what it runs on."""
    click.echo(f"tiphys: {installed()}")
    if not short:
        click.echo(f"  Python: {platform.python_version()}")
        click.echo(f"  Platform: {platform.system().lower()}/{platform.machine()}")
