"""kalshi-gateway: its commands and their options; exit 0 done, 1 failed, 2 misused."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

# What a command needs is imported when it runs: `--help` and `token list` stay quick.

cli = typer.Typer(
    name="kalshi-gateway",
    help="The service between your apps and Kalshi.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tokens = typer.Typer(help="Gateway tokens: who may call.", no_args_is_help=True)
cli.add_typer(tokens, name="token")
keys = typer.Typer(
    help="Virtual keys: with what clients made for the exchange sign.", no_args_is_help=True
)
cli.add_typer(keys, name="key")
credentials = typer.Typer(help="Users' own keys of the exchange.", no_args_is_help=True)
cli.add_typer(credentials, name="credential")
audits = typer.Typer(help="The log of every write.", no_args_is_help=True)
cli.add_typer(audits, name="audit")

Host = Annotated[str, typer.Option(help="The address to listen on.")]
User = Annotated[str, typer.Argument(help="Whose key.")]
Json = Annotated[bool, typer.Option("--json", help="JSON, as it is where no terminal reads it.")]


def main() -> None:
    """Run the command that the arguments name."""
    from kalshi_gateway.embedded import EmbeddedUnavailable
    from kalshi_gateway.errors import GatewayError, Unprocessable
    from kalshi_gateway.settings import SettingsError

    try:
        cli()
    except SettingsError as error:
        for mistake in error.mistakes:
            typer.echo(f"kalshi-gateway: {mistake}", err=True)
        sys.exit(2)
    except (GatewayError, EmbeddedUnavailable, OSError) as error:
        typer.echo(f"kalshi-gateway: {error}", err=True)
        sys.exit(2 if isinstance(error, Unprocessable) else 1)


@cli.command()
def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
) -> None:
    """Run the gateway; its database is started if none is named, and migrated."""
    from . import serving

    _run(serving.serve(host, port))


@cli.command()
def demo(
    port: Annotated[int, typer.Option(help="The gateway's port.")] = 8000,
    exchange_port: Annotated[int, typer.Option(help="The simulated exchange's port.")] = 8001,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the database here; else it goes with the demo.")
    ] = None,
    recordings: Annotated[
        Path | None, typer.Option(help="Serve these recorded payloads instead.")
    ] = None,
    markets: Annotated[int, typer.Option(help="How many markets to make up.", min=10)] = 2_000,
) -> None:
    """Run everything at once: a simulated exchange, a database, and the gateway before them."""
    from . import demonstration

    _run(demonstration.demo(port, exchange_port, data_dir, recordings, markets))


@cli.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def simulator(context: typer.Context) -> None:
    """Run only the simulated exchange; its own `--help` tells its options."""
    from kalshi_gateway.simulator.__main__ import main as run_exchange

    raise typer.Exit(run_exchange(context.args))


@cli.command()
def migrate() -> None:
    """Bring the database's schema to its newest form."""
    from . import maintenance

    _run(maintenance.migrate())


@cli.command()
def sync(as_json: Json = False) -> None:
    """Read the exchange's whole catalogue once."""
    from . import maintenance

    if not _run(maintenance.sync(as_json=_machine_reads(as_json))):
        raise typer.Exit(1)


@cli.command()
def doctor(as_json: Json = False) -> None:
    """Check settings, database, clock, exchange and key, and say what to do about each."""
    from . import doctor as surgery

    if not _run(surgery.look(as_json=_machine_reads(as_json))):
        raise typer.Exit(1)


@cli.command()
def openapi(
    for_sdk: Annotated[
        bool, typer.Option("--sdk", help="Flattened, as code generators take it best.")
    ] = False,
) -> None:
    """Print the API's description."""
    from . import maintenance

    typer.echo(maintenance.openapi_sdk() if for_sdk else maintenance.openapi())


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    scope: Annotated[list[str], typer.Option(help="read, trade or admin; repeatable.")],
    user: Annotated[str | None, typer.Option(help="The user it speaks for; not for admin.")] = None,
    days: Annotated[int | None, typer.Option(help="When it expires; else never.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Make a token; it is shown this once."""
    from . import token_commands

    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    _run(token_commands.create(name, scope, user, expires_at, as_json=_machine_reads(as_json)))


@tokens.command("list")
def list_tokens(as_json: Json = False) -> None:
    """All tokens, without their secrets."""
    from . import token_commands

    _run(token_commands.show(as_json=_machine_reads(as_json)))


@tokens.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="Its id, or its name.")],
) -> None:
    """End a token at once."""
    from . import token_commands

    if not _run(token_commands.revoke(token)):
        typer.echo(f"kalshi-gateway: no token in use is called {token}", err=True)
        raise typer.Exit(1)


@keys.command("create")
def create_key(
    user: Annotated[str, typer.Option(help="The user it speaks for.")],
    scope: Annotated[list[str], typer.Option(help="read or trade; repeatable.")],
    kind: Annotated[str, typer.Option(help="rsa or ed25519.")] = "rsa",
    as_json: Json = False,
) -> None:
    """Make a key; its id and its private half are shown this once."""
    from . import key_commands

    _run(key_commands.create(user, scope, kind, as_json=_machine_reads(as_json)))


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """All keys; never their private halves, which are not kept."""
    from . import key_commands

    _run(key_commands.show(as_json=_machine_reads(as_json)))


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="Its id.")]) -> None:
    """End a key at once."""
    from . import key_commands

    if not _run(key_commands.revoke(key)):
        typer.echo(f"kalshi-gateway: no key in use is called {key}", err=True)
        raise typer.Exit(1)


@credentials.command("set")
def set_credential(
    user: User,
    key_id: Annotated[str, typer.Option(help="The key's id at the exchange.")],
    key_file: Annotated[
        Path | None, typer.Option(help="The private key's PEM file; else it is read from stdin.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Store a user's key, after asking the exchange about it."""
    from . import credential_commands as commands

    _run(commands.put(user, key_id, key_file, as_json=_machine_reads(as_json)))


@credentials.command("show")
def show_credential(user: User, as_json: Json = False) -> None:
    """Which key signs for a user; never the key itself."""
    from . import credential_commands as commands

    _run(commands.show(user, as_json=_machine_reads(as_json)))


@credentials.command("list")
def list_credentials(as_json: Json = False) -> None:
    """All stored keys, and the master key each is sealed under."""
    from . import credential_commands as commands

    _run(commands.show_all(as_json=_machine_reads(as_json)))


@credentials.command("check")
def check_credential(user: User, as_json: Json = False) -> None:
    """Ask the exchange about a user's key."""
    from . import credential_commands as commands

    if not _run(commands.check(user, as_json=_machine_reads(as_json))):
        raise typer.Exit(1)


@credentials.command("delete")
def delete_credential(user: User) -> None:
    """Forget a user's key."""
    from . import credential_commands as commands

    _run(commands.delete(user))


@credentials.command("rotate")
def rotate_credentials(as_json: Json = False) -> None:
    """Seal all keys anew under the newest master key, also while gateways serve."""
    from . import credential_commands as commands

    if not _run(commands.rotate(as_json=_machine_reads(as_json))):
        raise typer.Exit(1)


@audits.command("verify")
def verify_audit(
    noted: Annotated[
        str | None, typer.Option(help="SEQ:HASH of a line noted earlier, to be found again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the whole audit log and say where it is not what was written."""
    from . import audit_commands

    if not _run(audit_commands.verify(noted, as_json=_machine_reads(as_json))):
        raise typer.Exit(1)


def _machine_reads(as_json: bool) -> bool:
    return as_json or not sys.stdout.isatty()


def _run(job: Coroutine[Any, Any, Any]) -> Any:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(job)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop
