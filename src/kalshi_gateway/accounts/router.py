"""GET …/account, POST …/account/refresh: what a user has."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from kalshi_gateway import answers
from kalshi_gateway.dependencies import AccountReader, Terms, requires
from kalshi_gateway.directives import RESPONSES

from .answers import AccountDetail
from .known import Looked

router = APIRouter(
    prefix="/kalshi/users/{user_id}",
    tags=["Accounts"],
    dependencies=[requires("read")],
    responses=RESPONSES,
)

UserId = Annotated[str, Path(min_length=1, max_length=128)]


@router.get("/account", response_model=AccountDetail)
async def read_account(user_id: UserId, terms: Terms, accounts: AccountReader) -> Response:
    """Balance and positions as last known; old ones are refreshed behind the answer."""
    return _account(await accounts.find(user_id, terms))


def _account(looked: Looked) -> Response:
    return answers.detailed(looked.body, looked.standing, came=looked.came)
