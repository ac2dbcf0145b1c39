"""Which options does every command take, wherever they stand on the line?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

Chosen = dict[str, Any]
"""The global options that were given, by parameter name; one dictionary per call, shared by all contexts."""

_CONNECTION_HINT: Final = "Connection options such as -n/--namespace, --context and --kubeconfig: see `{root} --help`."


def chosen(ctx: click.Context) -> Chosen:
    """Give the global options seen so far."""
    root = ctx.find_root()
    if root.obj is None:
        root.obj = {}
    found: Chosen = root.obj
    return found


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    # Contexts are made from the outside in, so what stands nearer to the end of the line wins.
    if value is not None and value != () and value is not False and parameter.name is not None:
        chosen(ctx)[parameter.name] = value


def _global(*names: str, text: str, **settings: Any) -> click.Option:  # noqa: ANN401 - handed to click
    return click.Option(names, help=text, expose_value=False, callback=_remember, **settings)


CONNECTION: Final[Sequence[click.Option]] = (
    _global("-n", "--namespace", text="Namespace to work in; the kubeconfig's by default.", metavar="NAME"),
    _global("--kubeconfig", text="Kubeconfig file to use.", metavar="FILE"),
    _global("--context", text="Context of the kubeconfig to use.", metavar="NAME"),
    _global("--cluster", text="Cluster of the kubeconfig to use.", metavar="NAME"),
    _global("--user", text="User of the kubeconfig to use.", metavar="NAME"),
    _global("-s", "--server", text="Address of the API server.", metavar="URL"),
    _global("--token", text="Bearer token for the API server.", metavar="TOKEN"),
    _global("--as", "as_user", text="User to act as.", metavar="NAME"),
    _global("--as-group", "as_groups", text="Group to act as; may be repeated.", metavar="NAME", multiple=True),
    _global("--as-uid", "as_uid", text="UID to act as.", metavar="UID"),
    _global("--certificate-authority", text="Certificates that vouch for the API server.", metavar="FILE"),
    _global("--client-certificate", text="Client certificate.", metavar="FILE"),
    _global("--client-key", text="Key of the client certificate.", metavar="FILE"),
    _global("--tls-server-name", text="Name to expect in the server's certificate.", metavar="NAME"),
    _global("--insecure-skip-tls-verify", text="Trust any certificate of the server.", is_flag=True),
    _global("--request-timeout", text="Longest wait for one answer, such as 5s; 0 waits for ever.", metavar="DURATION"),
    _global("--cache-dir", text="Accepted for kubectl's sake; nothing is cached.", metavar="DIR", hidden=True),
    _global("--disable-compression", text="Accepted for kubectl's sake.", is_flag=True, hidden=True),
    _global("-v", "--kloglevel", text="From 6 on, each request is shown.", type=int, metavar="LEVEL"),
    _global("--loglevel", text="How much is logged.", type=click.Choice(["debug", "info", "warn", "error"])),
)


class Connected(click.Command):
    """A command that also takes the global options."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Add the global options to the command's own."""
        own = super().get_params(ctx)
        taken = {name for parameter in own for name in parameter.opts}
        return [*own, *(option for option in CONNECTION if not taken.intersection(option.opts))]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the line; a flag may also be written `--flag=false`, as kubectl's may."""
        return super().parse_args(ctx, _plain_flags(self.get_params(ctx), args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options, then say where the global ones are listed."""
        _section(ctx, formatter, "Options", [found for found in self.get_params(ctx) if found not in CONNECTION])
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        if ctx.parent is None:
            _section(ctx, formatter, "Connection options, before or after any command", CONNECTION)
        else:
            formatter.write_paragraph()
            formatter.write_text(_CONNECTION_HINT.format(root=ctx.find_root().info_name))


def _plain_flags(parameters: Sequence[click.Parameter], args: Sequence[str]) -> list[str]:
    """Turn `--flag=true` into `--flag`, and `--flag=false` into its opposite, or into nothing where false is the default."""
    flags = {name: found for found in parameters if isinstance(found, click.Option) and found.is_flag for name in found.opts}
    end = args.index("--") if "--" in args else len(args)
    plain: list[str] = []
    for argument in args[:end]:
        name, _, value = argument.partition("=")
        flag = flags.get(name)
        if flag is None or value not in {"true", "false"}:
            plain.append(argument)
        elif value == "true":
            plain.append(name)
        else:
            plain += flag.secondary_opts[:1]
    return [*plain, *args[end:]]


def _section(ctx: click.Context, formatter: click.HelpFormatter, title: str, parameters: Sequence[click.Parameter]) -> None:
    options = [found for found in parameters if isinstance(found, click.Option)]
    records = [record for record in (found.get_help_record(ctx) for found in options) if record is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


class Group(Connected, click.Group):
    """
    A group whose commands have other names too.

    The other names work and are not listed.
    """

    command_class = Connected

    def __init__(self, *args: Any, aliases: Mapping[str, str] | None = None, **settings: Any) -> None:  # noqa: ANN401 - handed to click
        super().__init__(*args, **settings)
        self.aliases = aliases or {}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by any of its names."""
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))


F = TypeVar("F", bound=Callable[..., Any])


def rollout_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a rollout from the cluster; nothing where it does not answer at once."""
    from tiphys.cli.session import names_for_completion  # noqa: PLC0415 - the client is loaded only where it is needed

    taken = ctx.params.get(parameter.name or "")
    others = set(taken) if isinstance(taken, tuple | list) else set()
    return [name for name in names_for_completion(chosen(ctx)) if name.startswith(incomplete) and name not in others]


def name_argument(function: F) -> F:
    """Take the NAME of one rollout."""
    return click.argument("name", shell_complete=rollout_names)(function)


def names_argument(function: F) -> F:
    """Take the NAMEs of one or more rollouts."""
    return click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=rollout_names)(function)


no_color_option = click.option("--no-color", is_flag=True, help="Draw without colours.")
