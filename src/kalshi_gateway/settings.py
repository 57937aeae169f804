"""Every environment variable, typed, on one page."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

API_PATH = "/trade-api/v2"

#: Kalshi's own REST hosts (docs.kalshi.com, getting_started/api_environments, August 2026).
KALSHI_HOSTS = frozenset(
    {
        "external-api.kalshi.com",
        "api.elections.kalshi.com",
        "external-api.demo.kalshi.co",
        "demo-api.kalshi.co",
    }
)

#: Each of these may also be given as the path of a file: `X_FILE` instead of `X`.
SECRETS = ("kalshi_api_secret", "database_url", "gateway_encryption_keys")

#: AES-256.
MASTER_KEY_BYTES = 32

_MASTER_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")


class SettingsError(Exception):
    """The environment does not describe a service that can run; every mistake is listed."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Settings(BaseSettings):
    """What the environment says, and `.env` where the environment is silent."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        validate_default=True,  # rules between two settings hold for defaults, too
        hide_input_in_errors=True,
    )

    kalshi_allow_any_host: bool = Field(
        False, description="Let KALSHI_BASE_URL name any host: keys will be signed for it."
    )
    kalshi_base_url: str = Field(
        "https://external-api.kalshi.com/trade-api/v2",
        description="The exchange's REST API: one of Kalshi's own hosts, or loopback.",
    )
    kalshi_use_env_creds: bool = Field(
        True, description="Use the key below; `false` leaves the catalogue's calls unsigned."
    )
    kalshi_api_key_id: str | None = Field(None, description="Id of the service's own Kalshi key.")
    kalshi_api_secret: SecretStr | None = Field(
        None, description="Its private key (PEM); usually KALSHI_API_SECRET_FILE, a path, instead."
    )
    kalshi_user_id: str = Field(
        "default", min_length=1, max_length=128, description="The user whose key that is."
    )
    kalshi_trading_enabled: bool = Field(
        False, description="Pass on what users write to the exchange: orders and all else."
    )
    database_url: SecretStr | None = Field(
        None, description="postgresql://…; a Postgres of our own is started when this is absent."
    )
    gateway_data_dir: Path | None = Field(
        None,
        description="Where the embedded database and the generated master key live; "
        "the platform's data directory.",
    )
    gateway_encryption_keys: SecretStr | None = Field(
        None,
        description="Master keys that seal users' keys, id:base64,id:base64, newest first; "
        "one is generated in the data directory when this is absent.",
    )
    gateway_auth: Literal["token", "off"] = Field(
        "token", description="`off` needs no tokens, and is accepted only when bound to loopback."
    )
    gateway_cors_origins: str = Field(
        "", description="Browser origins that may call, comma separated; none by default."
    )
    gateway_jobs: bool = Field(
        True, description="Take part in background work; `false` makes a replica that only answers."
    )
    gateway_catalogue_refresh_seconds: int = Field(
        60, ge=5, le=3600, description="How often new, changed and settled markets are asked for."
    )
    gateway_price_refresh_seconds: int = Field(
        300, ge=10, le=86400, description="How often the prices of all open markets are walked."
    )
    gateway_account_refresh_seconds: int = Field(
        300, ge=10, le=86400, description="How often users' accounts are read in the background."
    )
    gateway_account_fresh_seconds: int = Field(
        30, ge=1, le=3600, description="An account older than this is also read when asked for."
    )
    gateway_log_format: Literal["json", "console"] = Field(
        "json", description="Log lines as JSON, or coloured for a terminal."
    )
    gateway_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important log lines that are written."
    )
    gateway_opentelemetry: bool = Field(
        False, description="Tell requests to the OpenTelemetry SDK, if one is set up."
    )
    gateway_max_body_bytes: int = Field(
        1_048_576, ge=1024, description="A request body larger than this is refused with 413."
    )
    gateway_requests_per_second: int = Field(
        1_000,
        ge=0,
        le=1_000_000,
        description="What one token, or one address without any, may send, and twice as many at "
        "once; more is refused with 429. 0: no limit.",
    )
    gateway_request_seconds: int = Field(
        30, ge=1, le=600, description="A request that takes longer is answered with 504."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = _SecretFiles(settings_cls, env_settings, dotenv_settings)
        return init_settings, env_settings, files, dotenv_settings

    @field_validator(
        "kalshi_api_key_id",
        "kalshi_api_secret",
        "database_url",
        "gateway_encryption_keys",
        mode="before",
    )
    @classmethod
    def _blank_is_absent(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator(*SECRETS, mode="before")
    @classmethod
    def _a_file_that_can_be_read(cls, value: Any) -> Any:
        if isinstance(value, _Unreadable):
            raise ValueError(f"{value.path} cannot be read: {value.reason}")
        return value

    @field_validator("kalshi_base_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        url = urlsplit(value.rstrip("/"))
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError("must be an http(s) address")
        if url.path != API_PATH:
            raise ValueError(f"must end in {API_PATH}: that path is part of what is signed")
        if url.scheme == "http" and not is_loopback(url.hostname):
            raise ValueError("must be https, except on loopback")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _a_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        schemes = ("postgresql://", "postgres://")
        if value is not None and not value.get_secret_value().startswith(schemes):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("kalshi_base_url")
    @classmethod
    def _a_host_we_know(cls, value: str, info: ValidationInfo) -> str:
        host = urlsplit(value).hostname or ""
        allowed = info.data.get("kalshi_allow_any_host", True)  # absent: it has a mistake itself
        if host not in KALSHI_HOSTS and not is_loopback(host) and not allowed:
            raise ValueError(
                f"{host} is not one of Kalshi's hosts; "
                "a key is not signed for a stranger unless KALSHI_ALLOW_ANY_HOST=true"
            )
        return value

    @field_validator("kalshi_api_secret")
    @classmethod
    def _a_whole_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        used = info.data.get("kalshi_use_env_creds")
        if used and bool(info.data.get("kalshi_api_key_id")) != bool(value):
            raise ValueError("this and KALSHI_API_KEY_ID belong together: one is missing")
        return value

    @field_validator("gateway_encryption_keys")
    @classmethod
    def _a_ring(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            master_keys(value.get_secret_value())
        return value

    @field_validator("gateway_cors_origins")
    @classmethod
    def _origins(cls, value: str, info: ValidationInfo) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            if origin == "*" and info.data.get("gateway_auth") == "off":
                raise ValueError("without tokens, * would let every page on the web in")
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is not an origin such as https://app.example:8443")
        return value

    @property
    def service_key(self) -> tuple[str, SecretStr] | None:
        """Id and PEM of the key that signs the catalogue's calls, if there is one to use."""
        if self.kalshi_use_env_creds and self.kalshi_api_key_id and self.kalshi_api_secret:
            return self.kalshi_api_key_id, self.kalshi_api_secret
        return None

    @property
    def cors_origins(self) -> tuple[str, ...]:
        return tuple(o.strip() for o in self.gateway_cors_origins.split(",") if o.strip())

    @property
    def catalogue_refresh_every(self) -> timedelta:
        return timedelta(seconds=self.gateway_catalogue_refresh_seconds)

    @property
    def price_refresh_every(self) -> timedelta:
        return timedelta(seconds=self.gateway_price_refresh_seconds)

    @property
    def account_refresh_every(self) -> timedelta:
        return timedelta(seconds=self.gateway_account_refresh_seconds)

    @property
    def account_fresh_for(self) -> timedelta:
        return timedelta(seconds=self.gateway_account_fresh_seconds)


@dataclass(frozen=True)
class _Unreadable:
    """Stands for a secret whose file cannot be read, so that it is told with all other mistakes."""

    path: str
    reason: str


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads `X` from the file that `X_FILE` names, and says which file could not be read."""

    def __init__(
        self, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        dotenv = getattr(sources[-1], "env_vars", {})
        self._environment: Mapping[str, str | None] = {
            **{name.lower(): value for name, value in dotenv.items()},
            **{name.lower(): value for name, value in os.environ.items()},
        }

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        path = self._environment.get(f"{field_name}_file")
        if not path:
            return None, field_name, False
        try:
            return Path(path).expanduser().read_text(encoding="utf-8"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            return _Unreadable(path, reason), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in SECRETS:
            value, _, _ = self.get_field_value(self.settings_cls.model_fields[name], name)
            if isinstance(value, str) and name == "database_url":
                value = value.strip()
            if value is not None:
                found[name] = value
        return found


def load(**overrides: Any) -> Settings:
    """The settings of this process, or `SettingsError` with every mistake in them."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError([_mistake(item) for item in error.errors()]) from None


def example() -> str:
    """The text of `.env.example`: every variable with its meaning and its default."""
    parts = [
        "# Every setting of Kalshi Gateway with its default. Copy this file to .env and uncomment\n"
        "# what you change; the environment wins over the file.\n"
    ]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = str(default).lower() if isinstance(default, bool) else default
        lines = [f"# {field.description}", f"#{name.upper()}={'' if shown is None else shown}"]
        if name in SECRETS:
            lines.append(f"#{name.upper()}_FILE=")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _mistake(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"]).upper()
    text = item["msg"].removeprefix("Value error, ")
    return f"{name}: {text}" if name else text


def master_keys(text: str) -> list[tuple[str, bytes]]:
    """The master keys in a list `id:base64`, newest first; `ValueError` never quotes any."""
    found = [_master_key(item) for item in re.split(r"[,\s]+", text) if item]
    if not found:
        raise ValueError("at least one id:base64 is expected")
    if len({key_id for key_id, _ in found}) < len(found):
        raise ValueError("two master keys have the same id")
    return found


def _master_key(item: str) -> tuple[str, bytes]:
    key_id, _, encoded = item.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    # Raised out here, and without a word of the input: part of it is a key.
    if not _MASTER_KEY_ID.fullmatch(key_id) or len(key) != MASTER_KEY_BYTES:
        raise ValueError(
            f"each master key is id:base64 of {MASTER_KEY_BYTES} random bytes; one is not"
        )
    return key_id, key


def is_loopback(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
