"""Log format and redaction; the lines of every library go the same way as ours."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

#: The path of a secret's file is none.
_NAMES = (
    r"(?:authorization|kalshi-access-[a-z]+|cookie|pass(?:word|wd|phrase)|secret|private_?key|\bpem)"
    r"(?!\w*_file)"
)

#: Fields whose value is a secret whatever it looks like.
SECRET_NAMES = re.compile(f"(?i){_NAMES}")

#: Secrets inside a text: a message, a traceback, a repr.
SECRETS = (
    # A PEM block, also with escaped line ends or cut off before its end.
    (re.compile(r"(?s)-----BEGIN [A-Z0-9 ]*-----.*?(?:-----END [A-Z0-9 ]*-----|\Z)"), REDACTED),
    (re.compile(r"kgw_[A-Za-z0-9_-]{8,}"), REDACTED),
    # Name and value, apart by anything that the repr of a dict, a list or a header puts between.
    (
        re.compile(
            rf"(?i)({_NAMES}\w*)(\\?['\"]?\s*[:=,]\s*(?:b?\\?['\"])?)"
            r"(?:(?:bearer|basic)\s+)?[^\s'\",)}\]\\]+"
        ),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"(://[^\s:/@]*:)[^\s/@]+@"), rf"\1{REDACTED}@"),
)

LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "sqlalchemy", "alembic", "asyncio")


def configure(form: Literal["json", "console"], level: str) -> None:
    """Send all log lines, ours and the libraries', to stderr in one form."""
    least = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_colours,
                structlog.processors.format_exc_info,
                redact,
                _renderer(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    # Every request has a line of ours; this one would cost as much as a request.
    logging.getLogger("uvicorn.access").propagate = False
    # A line for each call to the exchange, with all the tickers it names, is for debugging.
    logging.getLogger("httpx").setLevel(least if least == logging.DEBUG else logging.WARNING)
    logging.captureWarnings(capture=True)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take secrets out of every field, wherever in it they are."""
    return {name: _redacted(value, name) for name, value in event.items()}


def _without_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """uvicorn says some things twice, the second time for terminals."""
    event.pop("color_message", None)
    return event


def redacted(text: str) -> str:
    """The text without the secrets in it."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def _redacted(value: Any, name: str = "") -> Any:
    if name and SECRET_NAMES.search(name):
        return REDACTED
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redacted(str(key)): _redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _redacted_items(list(value))
    return redacted(value if isinstance(value, str) else repr(value))


def _redacted_items(items: list[Any]) -> list[Any]:
    # A header is often a pair: its name says what its value is.
    if len(items) == 2 and isinstance(items[0], str | bytes):
        name = items[0] if isinstance(items[0], str) else items[0].decode("latin-1")
        return [redacted(name), _redacted(items[1], name)]
    return [_redacted(item) for item in items]


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderer(form: str) -> Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    # Tracebacks come as text, redacted; a prettier one would show the values of variables.
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
