"""Are these manifests right, without asking a cluster? (User interfaces 1.8.)"""

from collections.abc import Sequence

import click

from tiphys.cli.checks import check
from tiphys.cli.manifests import Document, FileError, read_file
from tiphys.cli.options import Connected
from tiphys.cli.patches import RefusedError


def read_files(names: Sequence[str]) -> tuple[list[Document], list[FileError]]:
    """Read the objects of several files, and all that is no object."""
    read = [read_file(name) for name in names]
    return [document for documents, _ in read for document in documents], [error for _, errors in read for error in errors]


@click.command(cls=Connected)
@click.option("-f", "--filename", "files", multiple=True, required=True, metavar="FILE", help="File to check; may be repeated.")
@click.argument("more", metavar="[FILE...]", nargs=-1)
def lint(files: tuple[str, ...], more: tuple[str, ...]) -> None:
    """
    Check the manifests in the FILEs.

    Rollouts, and the Services, Deployments and routes in the same file as far as a Rollout names them. Every error is printed; the command
    fails with the first one.
    """
    report = check(*read_files([*files, *more]))
    for warning in report.warnings:
        click.echo(f"Warning: {warning}", err=True)
    for error in report.errors:
        click.echo(error)
    if report.errors:
        raise RefusedError(report.errors[0])
