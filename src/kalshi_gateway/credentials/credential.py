"""A user's key of the exchange: as it is kept, and as much of it as is shown."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from kalshi_gateway.errors import GatewayError, NotFound
from kalshi_gateway.units import Moment

from .checks import Verdict
from .ring import Sealed

#: Which of the exchange's two environments a host belongs to: keys of one are unknown in the other
#: (docs.kalshi.com/getting_started/api_environments).
ENVIRONMENTS = {
    "external-api.kalshi.com": "production",
    "api.elections.kalshi.com": "production",
    "external-api.demo.kalshi.co": "demo",
    "demo-api.kalshi.co": "demo",
}


class NoCredentials(NotFound):
    """No key of the exchange is kept for this user."""

    code = "no_credentials"
    title = "No credentials"


class OtherEnvironment(GatewayError):
    """The key belongs to another environment than the one this gateway speaks to."""

    status = 409
    code = "other_environment"
    title = "Key of another environment"


class CredentialsFromEnvironment(GatewayError):
    """This user's key comes from the gateway's own settings, and is changed only there."""

    status = 409
    code = "credentials_from_environment"
    title = "Credentials from the environment"


@dataclass(frozen=True)
class Kept:
    """A row of ours; the private half is sealed."""

    user_id: str
    id: UUID
    api_key_id: str
    kind: Literal["rsa", "ed25519"]
    fingerprint: str
    environment: str
    sealed: Sealed
    created_at: datetime
    checked_at: datetime | None = None
    verdict: Verdict | None = None

    @property
    def bound_to(self) -> bytes:
        """What the seal holds fast: whose key it is, which row, which id, which environment."""
        return bound_to(self.user_id, self.id, self.api_key_id, self.environment)


def bound_to(user_id: str, row_id: UUID, api_key_id: str, environment: str) -> bytes:
    """The associated data of a seal; with any of it changed, the row does not open."""
    named = ["kalshi-gateway/credentials/1", user_id, str(row_id), api_key_id, environment]
    return json.dumps(named).encode()


def environment_of(base_url: str) -> str:
    """The environment behind an address: `production`, `demo`, or the host itself."""
    url = urlsplit(base_url)
    return ENVIRONMENTS.get(url.hostname or "", url.netloc)


class Credentials(BaseModel):
    """What is shown of a user's key; the private half is never among it."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    source: Annotated[
        Literal["stored", "environment"],
        Field(description="`environment`: set by the gateway's own settings."),
    ]
    api_key_id: Annotated[str, Field(description="The key's id at the exchange.")]
    kind: Literal["rsa", "ed25519"]
    fingerprint: Annotated[str, Field(description="SHA-256 of the public half, in hex.")]
    environment: Annotated[
        str, Field(description="`production`, `demo`, or the host it belongs to.")
    ]
    created_at: Annotated[Moment | None, Field(description="When this key was put here.")]
    checked_at: Moment | None
    verdict: Annotated[Verdict | None, Field(description="Of the last check.")]


def shown(kept: Kept) -> Credentials:
    """A row as it is shown."""
    return Credentials(
        user_id=kept.user_id,
        source="stored",
        api_key_id=kept.api_key_id,
        kind=kept.kind,
        fingerprint=kept.fingerprint,
        environment=kept.environment,
        created_at=kept.created_at,
        checked_at=kept.checked_at,
        verdict=kept.verdict,
    )
