"""PUT, GET, DELETE /kalshi/users/{user_id}/credentials, and POST …/credentials/check."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, SecretStr

from kalshi_gateway.dependencies import KeyKeeper, KeyVault, WrittenBy, requires

from .credential import Credentials

router = APIRouter(
    prefix="/kalshi/users/{user_id}/credentials",
    tags=["Credentials"],
    dependencies=[requires("read")],
)

UserId = Annotated[str, Path(min_length=1, max_length=128)]


class NewCredentials(BaseModel):
    """A key as the exchange gave it to its owner."""

    api_key_id: Annotated[str, Field(description="The key's id at the exchange.", max_length=256)]
    private_key: Annotated[
        SecretStr,
        Field(
            description="PEM: RSA or Ed25519, PKCS#1 or PKCS#8, without passphrase.",
            max_length=16_384,
        ),
    ]


@router.put("")
async def put_credentials(
    user_id: UserId, credentials: NewCredentials, keeper: KeyKeeper, author: WrittenBy
) -> Credentials:
    """Store a user's key of the exchange, sealed, after the exchange was asked about it.

    A key that the exchange refuses is not stored; while the exchange cannot be asked it is stored
    unchecked. The private key never comes out again.
    """
    private_key = credentials.private_key.get_secret_value()
    return await keeper.put(user_id, credentials.api_key_id, private_key, author)


@router.get("")
async def read_credentials(user_id: UserId, vault: KeyVault) -> Credentials:
    """Which key signs for this user, and what the last check found."""
    return await vault.show(user_id)


@router.delete("", status_code=204)
async def delete_credentials(user_id: UserId, keeper: KeyKeeper, author: WrittenBy) -> Response:
    """Forget a user's key; at the exchange it goes on existing."""
    await keeper.remove(user_id, author)
    return Response(status_code=204)


@router.post("/check")
async def check_credentials(user_id: UserId, keeper: KeyKeeper, author: WrittenBy) -> Credentials:
    """Ask the exchange about the key that signs for this user."""
    return await keeper.check(user_id, author)
