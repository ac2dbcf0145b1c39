"""Does a router that somebody wrote keep the contract of external routers?"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import click
import msgspec

if TYPE_CHECKING:
    from tiphys.plugins.partner import Partner

NAMESPACE = "tiphys-check"


@click.command("router-check")
@click.argument("url")
@click.option("--config", default="{}", metavar="JSON", help="What a Rollout would say below plugins: {NAME: ...}.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The authority of its certificate.")
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The token to show it.")
@click.option("--timeout", default=5.0, show_default=True, type=click.FloatRange(min=0.1, max=60), help="Seconds for each answer.")
def router_check(url: str, *, config: str, ca_file: Path | None, token_file: Path | None, timeout: float) -> int:
    """
    Check whether the router at URL keeps the contract of docs/external-routers.md.

    Sends wishes for a Rollout that does not exist, in the namespace tiphys-check, and lets the router forget it again. Ends with status 1
    if a promise is not kept.
    """
    from tiphys.plugins.partner import Partner, check_partner  # noqa: PLC0415 - heavy

    try:
        wanted = msgspec.json.decode(config)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--config: found no JSON ({error})") from error
    partner = Partner(name="(checked)", url=url, ca_file=ca_file, token_file=token_file, seconds=timeout)
    check_partner("URL", partner)
    asked, broken = asyncio.run(_report(partner, wanted))
    click.echo(f"not kept: {broken} of {asked} promises" if broken else "every promise is kept")
    return 1 if broken else 0


async def _report(partner: "Partner", config: object) -> tuple[int, int]:
    """Print every finding, and count them and those that are bad."""
    from tiphys.plugins.check import check  # noqa: PLC0415 - heavy
    from tiphys.plugins.client import HttpRouter  # noqa: PLC0415 - heavy
    from tiphys.plugins.contract import About  # noqa: PLC0415 - heavy

    router = HttpRouter(partner)
    about = About(namespace=NAMESPACE, name=f"check-{uuid4().hex[:8]}", uid=str(uuid4()))
    asked = broken = 0
    try:
        async for finding in check(router, about, config):
            click.echo(
                f"{'BROKEN' if finding.problem else 'ok    '} {finding.promise}" + (f": {finding.problem}" if finding.problem else "")
            )
            asked, broken = asked + 1, broken + bool(finding.problem)
    finally:
        await router.close()
    return asked, broken
