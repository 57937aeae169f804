"""Log format and redaction."""

import base64
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from kalshi_gateway import logs
from kalshi_gateway.tokens.token import new_secret
from tests.conftest import PLAIN_LOGS

SIGNATURE = base64.b64encode(bytes(range(256))).decode()
TOKEN = new_secret()
PASSWORD = "swordfish-7"


def pem_of(key: PrivateKeyTypes, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEMS = {
    "PKCS#1": pem_of(RSA, serialization.PrivateFormat.TraditionalOpenSSL),
    "PKCS#8": pem_of(RSA, serialization.PrivateFormat.PKCS8),
    "Ed25519": pem_of(ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.PKCS8),
}


@pytest.fixture(params=["json", "console"])
def written(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[io.StringIO]:
    """Everything that is logged, in one form or the other."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    logs.configure(request.param, "debug")
    yield stderr
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = kept
    structlog.reset_defaults()
    structlog.configure(processors=PLAIN_LOGS)


def secrets_of(pem: str) -> list[str]:
    """Every line of a key's text: none of them may be seen, however the rest is cut."""
    return [line for line in pem.splitlines() if not line.startswith("-----")]


WRAPPED: dict[str, Callable[[str], object]] = {
    "whole": str,
    "escaped": lambda pem: pem.replace("\n", "\\n"),
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "one line": lambda pem: pem.replace("\n", ""),
    "cut off": lambda pem: pem[: len(pem) // 2],
    "in a text": lambda pem: f"could not load '{pem}' today",
    "twice": lambda pem: f"{pem}{pem}",
    "bytes": lambda pem: pem.encode(),
    "exception": lambda pem: ValueError(f"bad key: {pem}"),
    "nested": lambda pem: {"deep": [{"down": (1, pem)}]},
    "as a key": lambda pem: {pem: 1},
}


@pytest.mark.parametrize("kind", PEMS)
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_private_keys_stay_secret(written: io.StringIO, kind: str, wrapped: str) -> None:
    """No line of a private key is ever written, whatever it is wrapped in."""
    pem = PEMS[kind]
    value = WRAPPED[wrapped](pem)

    structlog.get_logger("test").info("about a key", thing=value)
    structlog.get_logger("test").info(str(value))
    logging.getLogger("uvicorn.error").warning("about %s", value)

    assert written.getvalue().count(logs.REDACTED) >= 3
    assert [line for line in secrets_of(pem) if line in written.getvalue()] == []


SHAPES: dict[str, object] = {
    "header": {"Authorization": f"Bearer {TOKEN}"},
    "basic": {"authorization": f"Basic {SIGNATURE}"},
    "signature": {"KALSHI-ACCESS-SIGNATURE": SIGNATURE, "KALSHI-ACCESS-KEY": PASSWORD},
    "pair": [("KALSHI-ACCESS-SIGNATURE", SIGNATURE)],
    "pairs of bytes": [
        (b"kalshi-access-signature", SIGNATURE.encode()),
        (b"authorization", TOKEN.encode()),
    ],
    "httpx": httpx.Headers(
        {"KALSHI-ACCESS-SIGNATURE": SIGNATURE, "Authorization": f"Bearer {TOKEN}"}
    ),
    "repr of pairs": str([(b"kalshi-access-signature", SIGNATURE.encode())]),
    "repr of a dict": str({"KALSHI-ACCESS-SIGNATURE": SIGNATURE, "KALSHI-ACCESS-KEY": PASSWORD}),
    "JSON": json.dumps({"KALSHI-ACCESS-SIGNATURE": SIGNATURE, "Authorization": f"Bearer {TOKEN}"}),
    "line": f"KALSHI-ACCESS-SIGNATURE: {SIGNATURE}",
    "dump": f"> authorization: Bearer {SIGNATURE}",
    "assignment": f"Authorization={TOKEN}",
    "text": f"seen {TOKEN} in a text",
    "database URL": f"postgresql://ada:{PASSWORD}@db.example/gateway",
    "names": {"password": PASSWORD, "api_secret": SIGNATURE, "private_key": SIGNATURE},
    "twice": f"{TOKEN}{TOKEN}",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_and_headers_stay_secret(written: io.StringIO, shape: str) -> None:
    """No token, signature, password or Authorization is ever written, in any shape."""
    structlog.get_logger("test").info("about a call", thing=SHAPES[shape])
    logging.getLogger("sqlalchemy.engine").warning("about %s", SHAPES[shape])

    text = written.getvalue()
    assert logs.REDACTED in text
    for secret in (TOKEN, SIGNATURE, PASSWORD):
        assert secret not in text


def test_fields_of_secret_names(written: io.StringIO) -> None:
    """A field whose name says that it is secret is never written, whatever it looks like."""
    structlog.get_logger("test").info("called", authorization=PASSWORD, client_secret=PASSWORD)

    assert PASSWORD not in written.getvalue()


def test_tracebacks_stay_secret(written: io.StringIO) -> None:
    """A traceback is written, without the secrets in its messages or its variables."""
    pem = PEMS["PKCS#8"]

    def fail(password: str) -> None:
        try:
            raise ValueError(f"bad key {pem} of {TOKEN}")
        except ValueError as error:
            raise RuntimeError(f"call failed: KALSHI-ACCESS-SIGNATURE: {SIGNATURE}") from error

    try:
        fail(PASSWORD)
    except RuntimeError as error:
        structlog.get_logger("test").exception("failed")
        logging.getLogger("alembic").exception("failed")
        logging.getLogger("alembic").error("failed", exc_info=error)

    text = written.getvalue()
    assert text.count("Traceback") >= 3
    assert "call failed" in text
    for secret in (TOKEN, SIGNATURE, PASSWORD, *secrets_of(pem)):
        assert secret not in text


def test_what_is_not_secret_is_left(written: io.StringIO) -> None:
    """What a reader needs stays as it is."""
    event = {"route": "/kalshi/markets/{ticker}", "ticker": "KXHIGHNY-26FEB12-T45", "ms": 1.5}

    structlog.get_logger("test").info("request", **event, none=None, many=[1, "two"])

    text = written.getvalue()
    for part in ("request", "/kalshi/markets/{ticker}", "KXHIGHNY-26FEB12-T45", "1.5", "two"):
        assert part in text
    assert logs.REDACTED not in text


@pytest.mark.parametrize("written", ["json"], indirect=True)
def test_json_lines(written: io.StringIO) -> None:
    """Every line is one JSON object, ours and the libraries' alike, with the request's id."""
    with structlog.contextvars.bound_contextvars(request_id="abc-1"):
        structlog.get_logger("ours").warning("two\nlines", pem=PEMS["PKCS#8"])
        logging.getLogger("sqlalchemy.pool").warning("theirs %s", 7, extra={"more": 1})

    ours, theirs = map(json.loads, written.getvalue().splitlines())
    assert (ours["event"], ours["logger"], ours["level"]) == ("two\nlines", "ours", "warning")
    assert (theirs["event"], theirs["logger"]) == ("theirs 7", "sqlalchemy.pool")
    assert theirs["more"] == 1
    assert ours["request_id"] == theirs["request_id"] == "abc-1"
    assert ours["timestamp"].endswith("Z")


@pytest.mark.parametrize("written", ["json"], indirect=True)
def test_levels(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the level nothing is written, by nobody."""
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("json", "warning")

    structlog.get_logger("ours").info("quiet")
    logging.getLogger("theirs").info("quiet")
    structlog.get_logger("ours").warning("loud")

    assert "quiet" not in written.getvalue()
    assert "loud" in written.getvalue()


def test_no_access_log_but_ours(written: io.StringIO) -> None:
    """uvicorn's own line per request is not written, with its query and all."""
    logging.getLogger("uvicorn.access").info('"GET /?token=%s"', TOKEN)

    assert written.getvalue() == ""
