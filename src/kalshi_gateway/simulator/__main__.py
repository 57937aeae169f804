"""A simulated exchange on this machine; `./gateway simulator` is this command, too."""

import argparse
import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

import uvicorn

from .exchange import Exchange
from .serve import serve


def options_parser() -> argparse.ArgumentParser:
    """What the command can be told."""
    parser = argparse.ArgumentParser(
        prog="kalshi-gateway simulator", description="Run a simulated exchange."
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8001, help="the port; 0 is any free one")
    parser.add_argument("--markets", type=int, default=2000, help="how many to invent")
    parser.add_argument("--members", type=int, default=0, help="how many trade there by themselves")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same exchange")
    parser.add_argument(
        "--recordings", type=Path, help="serve what was recorded there instead of inventing"
    )
    parser.add_argument("--no-limits", action="store_true", help="refuse nobody for asking much")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Serve an exchange until interrupted."""
    parser = options_parser()
    options = parser.parse_args(arguments)
    if options.recordings is not None and not options.recordings.is_dir():
        parser.error(f"no recordings in {options.recordings}")
    if options.markets < 1 or options.members < 0:
        parser.error("at least one market, and no fewer members than none")
    exchange = _exchange(options)
    exchange.limits.on = not options.no_limits
    print(describe(exchange), flush=True)  # noqa: T201 - the command's own output
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        try:
            runner.run(_serve_until_stopped(exchange, options.host, options.port))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return 0
        except OSError as error:
            where = f"{options.host} port {options.port}"
            parser.exit(1, f"{parser.prog}: cannot listen on {where}: {error.strerror}\n")
    return 0


async def _serve_until_stopped(exchange: Exchange, host: str, port: int) -> None:
    serving = asyncio.current_task()
    if serving is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    await serve(exchange, host, port, _say)


def _say(url: str) -> None:
    print(f"Simulated exchange on {url}", flush=True)  # noqa: T201


def describe(exchange: Exchange) -> str:
    """What the exchange has, and what of its recordings could not be used."""
    catalogue = exchange.catalogue
    has = (
        f"{len(catalogue.series)} series, {len(catalogue.events)} events, "
        f"{len(catalogue.markets)} markets"
    )
    if len(exchange.members):
        has += f", {len(exchange.members)} members"
    if not exchange.set_aside:
        return has
    reasons = Counter(reason for _, _, reason in exchange.set_aside)
    aside = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(5))
    return f"{has}\n{len(exchange.set_aside)} recordings set aside: {aside}"


def _exchange(options: argparse.Namespace) -> Exchange:
    if options.recordings is not None:
        return Exchange.recorded(options.recordings)
    return Exchange.generated(options.markets, seed=options.seed, members=options.members)


if __name__ == "__main__":
    sys.exit(main())
