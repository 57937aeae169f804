"""Dollars and Contracts: exact inside, JSON numbers with their exact digits outside."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, PlainSerializer, WithJsonSchema

MICRODOLLARS_PER_DOLLAR = 1_000_000
CENTICONTRACTS_PER_CONTRACT = 100

#: The years of a moment that can be meant; the exchange sends others, too.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

_NUMBER = {"type": "number"}

Number = Annotated[Decimal, WithJsonSchema({**_NUMBER, "description": "All digits exact."})]
Dollars = Annotated[
    Decimal, WithJsonSchema({**_NUMBER, "description": "Dollars, all digits exact."})
]
Price = Annotated[
    Decimal,
    WithJsonSchema(
        {**_NUMBER, "minimum": 0, "maximum": 1, "description": "Dollars per contract, exact."}
    ),
]
Contracts = Annotated[
    Decimal,
    WithJsonSchema({**_NUMBER, "description": "Contracts; a hundredth is the smallest part."}),
]


def _whole_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Moment = Annotated[
    datetime,
    PlainSerializer(_whole_seconds, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-12T23:59:00Z"]}),
]


def moment(value: datetime | None) -> datetime | None:
    """The same instant in UTC and whole seconds; years outside 1970 to 2200 are unknown."""
    if value is None or not EARLIEST <= value <= LATEST:
        return None
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.replace(microsecond=0) if value.microsecond else value


def microdollars(amount: Decimal | None) -> int | None:
    """Dollars as the scaled integer that the database sorts by."""
    return None if amount is None else int(amount * MICRODOLLARS_PER_DOLLAR)


def centicontracts(count: Decimal | None) -> int | None:
    """Contracts as the scaled integer that the database sorts by."""
    return None if count is None else int(count * CENTICONTRACTS_PER_CONTRACT)


def _fields(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.__dict__
    raise TypeError(f"no JSON for {type(value).__name__}")


_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_fields)

#: JSON bytes of any answer of ours: Decimals as numbers, digit for digit; times with `Z`.
to_json = _encoder.encode
