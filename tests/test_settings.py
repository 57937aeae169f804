"""Every environment variable, on one page."""

from pathlib import Path

import pytest

from kalshi_gateway import settings
from kalshi_gateway.settings import Settings, SettingsError

PEM = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"
ELSEWHERE = "https://exchange.example/trade-api/v2"
DEMO = "https://external-api.demo.kalshi.co/trade-api/v2"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with nothing of ours in it, in a folder without `.env`."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_nothing_is_needed(environment: pytest.MonkeyPatch) -> None:
    """Without any variable the defaults make a service that can run."""
    found = settings.load()

    assert found.kalshi_base_url == "https://external-api.kalshi.com/trade-api/v2"
    assert found.gateway_auth == "token"
    assert found.database_url is None
    assert found.service_key is None
    assert found.cors_origins == ()


@pytest.mark.parametrize(
    "good",
    [
        {"KALSHI_BASE_URL": DEMO},
        {"KALSHI_BASE_URL": f"{DEMO}/"},
        {"KALSHI_BASE_URL": "http://127.0.0.1:8001/trade-api/v2"},
        {"KALSHI_BASE_URL": "http://localhost/trade-api/v2"},
        {"KALSHI_BASE_URL": "http://[::1]:8001/trade-api/v2"},
        {"KALSHI_BASE_URL": ELSEWHERE, "KALSHI_ALLOW_ANY_HOST": "true"},
        {"KALSHI_API_KEY_ID": "abc", "KALSHI_API_SECRET": PEM},
        {"KALSHI_API_KEY_ID": " ", "KALSHI_API_SECRET": ""},
        {"KALSHI_API_KEY_ID": "abc", "KALSHI_USE_ENV_CREDS": "false"},
        {"DATABASE_URL": "postgresql://ada@db.example/gateway"},
        {"DATABASE_URL": "postgres://ada@db.example/gateway"},
        {"DATABASE_URL": ""},
        {"GATEWAY_AUTH": "off"},
        {"GATEWAY_CORS_ORIGINS": "https://app.example, http://localhost:3000,http://[::1]:3000"},
        {"GATEWAY_CORS_ORIGINS": "*"},
        {"gateway_auth": "off"},
        {"SOME_OTHER_VARIABLE": "of somebody else"},
    ],
)
def test_good_environments(environment: pytest.MonkeyPatch, good: dict[str, str]) -> None:
    """What makes sense is accepted."""
    for name, value in good.items():
        environment.setenv(name, value)

    settings.load()


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ({"KALSHI_BASE_URL": ELSEWHERE}, ["KALSHI_BASE_URL"]),
        ({"KALSHI_BASE_URL": "http://external-api.kalshi.com/trade-api/v2"}, ["KALSHI_BASE_URL"]),
        (
            {
                "KALSHI_BASE_URL": "http://exchange.example/trade-api/v2",
                "KALSHI_ALLOW_ANY_HOST": "true",
            },
            ["KALSHI_BASE_URL"],
        ),
        ({"KALSHI_BASE_URL": "https://external-api.kalshi.com"}, ["KALSHI_BASE_URL"]),
        (
            {"KALSHI_BASE_URL": "https://external-api.kalshi.com.evil.example/trade-api/v2"},
            ["KALSHI_BASE_URL"],
        ),
        (
            {"KALSHI_BASE_URL": "https://external-api.kalshi.com@evil.example/trade-api/v2"},
            ["KALSHI_BASE_URL"],
        ),
        ({"KALSHI_BASE_URL": "ftp://localhost/trade-api/v2"}, ["KALSHI_BASE_URL"]),
        ({"KALSHI_BASE_URL": "nonsense"}, ["KALSHI_BASE_URL"]),
        ({"KALSHI_BASE_URL": "http://[/trade-api/v2"}, ["KALSHI_BASE_URL"]),
        ({"KALSHI_ALLOW_ANY_HOST": "perhaps"}, ["KALSHI_ALLOW_ANY_HOST"]),
        ({"KALSHI_API_KEY_ID": "abc"}, ["KALSHI_API_SECRET"]),
        ({"KALSHI_API_SECRET": PEM}, ["KALSHI_API_SECRET"]),
        ({"DATABASE_URL": "mysql://db.example/gateway"}, ["DATABASE_URL"]),
        ({"DATABASE_URL_FILE": "/no/such/file"}, ["DATABASE_URL"]),
        ({"GATEWAY_AUTH": "none"}, ["GATEWAY_AUTH"]),
        ({"GATEWAY_CORS_ORIGINS": "app.example"}, ["GATEWAY_CORS_ORIGINS"]),
        ({"GATEWAY_CORS_ORIGINS": "https://app.example/"}, ["GATEWAY_CORS_ORIGINS"]),
        ({"GATEWAY_CORS_ORIGINS": "https://a.example https://b.example"}, ["GATEWAY_CORS_ORIGINS"]),
        ({"GATEWAY_CORS_ORIGINS": "*", "GATEWAY_AUTH": "off"}, ["GATEWAY_CORS_ORIGINS"]),
        ({"GATEWAY_LOG_LEVEL": "loud"}, ["GATEWAY_LOG_LEVEL"]),
        ({"GATEWAY_LOG_FORMAT": "xml"}, ["GATEWAY_LOG_FORMAT"]),
        ({"GATEWAY_MAX_BODY_BYTES": "1"}, ["GATEWAY_MAX_BODY_BYTES"]),
        ({"GATEWAY_REQUEST_SECONDS": "0"}, ["GATEWAY_REQUEST_SECONDS"]),
        ({"GATEWAY_REQUEST_SECONDS": "soon"}, ["GATEWAY_REQUEST_SECONDS"]),
        ({"GATEWAY_CATALOGUE_REFRESH_SECONDS": "1"}, ["GATEWAY_CATALOGUE_REFRESH_SECONDS"]),
        (
            {
                "KALSHI_BASE_URL": ELSEWHERE,
                "KALSHI_API_KEY_ID": "abc",
                "KALSHI_API_SECRET_FILE": "/no/such/file",
                "DATABASE_URL": "mysql://db.example/gateway",
                "GATEWAY_AUTH": "none",
                "GATEWAY_REQUEST_SECONDS": "0",
            },
            [
                "KALSHI_BASE_URL",
                "KALSHI_API_SECRET",
                "DATABASE_URL",
                "GATEWAY_AUTH",
                "GATEWAY_REQUEST_SECONDS",
            ],
        ),
    ],
)
def test_bad_environments(
    environment: pytest.MonkeyPatch, bad: dict[str, str], names: list[str]
) -> None:
    """What makes no sense is refused, each mistake by the name of its variable, all together."""
    for name, value in bad.items():
        environment.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        settings.load()

    assert [mistake.partition(":")[0] for mistake in raised.value.mistakes] == names


def test_secrets_from_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each secret may lie in a file that the variable names."""
    (tmp_path / "key.pem").write_text(PEM)
    (tmp_path / "url").write_text("postgresql://ada:swordfish@db.example/gateway\n")
    environment.setenv("KALSHI_API_KEY_ID", "abc")
    environment.setenv("KALSHI_API_SECRET_FILE", str(tmp_path / "key.pem"))
    environment.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))

    found = settings.load()

    assert found.service_key is not None
    assert found.service_key[1].get_secret_value() == PEM
    assert found.database_url is not None
    assert found.database_url.get_secret_value() == "postgresql://ada:swordfish@db.example/gateway"


def test_file_that_is_not_text(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that cannot be a PEM is named, and nothing of it is shown."""
    (tmp_path / "key.der").write_bytes(b"\xff\xfeswordfish")
    environment.setenv("KALSHI_API_KEY_ID", "abc")
    environment.setenv("KALSHI_API_SECRET_FILE", str(tmp_path / "key.der"))

    with pytest.raises(SettingsError, match=r"key\.der cannot be read: it is not text") as raised:
        settings.load()

    assert "swordfish" not in str(raised.value)


def test_environment_wins_over_the_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`.env` speaks where the environment is silent, also of secrets in files."""
    (tmp_path / "key.pem").write_text(PEM)
    (tmp_path / ".env").write_text(
        "GATEWAY_AUTH=off\nGATEWAY_LOG_LEVEL=debug\n"
        f"KALSHI_API_KEY_ID=abc\nKALSHI_API_SECRET_FILE={tmp_path / 'key.pem'}\n"
    )
    environment.setenv("GATEWAY_LOG_LEVEL", "error")

    found = settings.load()

    assert (found.gateway_auth, found.gateway_log_level) == ("off", "error")
    assert found.service_key is not None


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    """Neither settings nor mistakes in them show a secret."""
    environment.setenv("KALSHI_API_KEY_ID", "abc")
    environment.setenv("KALSHI_API_SECRET", PEM)
    environment.setenv("DATABASE_URL", "postgresql://ada:swordfish@db.example/gateway")
    shown = repr(settings.load())
    environment.setenv("DATABASE_URL", "mysql://ada:swordfish@db.example/gateway")

    with pytest.raises(SettingsError) as raised:
        settings.load()

    for text in (shown, str(raised.value), repr(raised.value)):
        assert "MC4C" not in text
        assert "swordfish" not in text


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),  # noqa: S104 - the host that must not pass for loopback
        ("192.0.2.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    """Loopback is what never leaves this machine, and nothing that looks like it."""
    assert settings.is_loopback(host) is loopback
