"""The exchange's JSON as a dashboard of 2025 reads it: with whole cents and whole contracts.

Until March 2026 the exchange sent integers: `yes_ask` in cents, `position` in contracts. Today it
sends `yes_ask_dollars` and `position_fp`, texts with all digits. Each of those gets its twin back.
"""

import re
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from kalshi_gateway.kalshi.errors import Nonsense

DOLLARS, COUNT = "_dollars", "_fp"
CENTS_PER_DOLLAR = 100

#: An amount as the exchange writes it; longer ones would not be amounts.
AMOUNT = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")


def _as_written(number: str) -> msgspec.Raw:
    """A number of the exchange's that stays as it is, to the last digit."""
    return msgspec.Raw(number.encode())


_decoder = msgspec.json.Decoder(Any, float_hook=_as_written)


def with_twins(body: bytes) -> bytes:
    """An answer of the exchange, and beside each exact amount its whole number."""
    answer = _read(body)
    _add_twins(answer)
    return msgspec.json.encode(answer)


def positions_by_event(body: bytes) -> bytes:
    """Positions with their twins, and in each event those in its markets."""
    answer = _read(body)
    _add_twins(answer)
    held: dict[str, list[Any]] = {}
    for event in _rows(answer, "event_positions"):
        event["positions"] = held.setdefault(_ticker(event, "event_ticker"), [])
    for position in _rows(answer, "market_positions"):
        event_ticker = _event_of(_ticker(position, "ticker"), held)
        if event_ticker is not None:
            held[event_ticker].append(position)
    return msgspec.json.encode(answer)


def whole_cents(name: str, dollars: Decimal) -> int:
    """Cents of an amount; a part of a cent never makes a quote look better than it is."""
    cents = dollars * CENTS_PER_DOLLAR
    words = name.split("_")
    if "bid" in words:
        return int(cents.to_integral_value(ROUND_FLOOR))
    if "ask" in words:
        return int(cents.to_integral_value(ROUND_CEILING))
    return int(cents.to_integral_value(ROUND_HALF_UP))


def whole_contracts(count: Decimal) -> int:
    """Contracts that are there in full."""
    return int(count.to_integral_value(ROUND_DOWN))


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Nonsense("an answer that is no JSON object")
    return answer


def _rows(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list; what else is in it stays there as it came."""
    rows = answer.get(name)
    if not isinstance(rows, list | None):
        raise Nonsense(f"{name} that are no list")
    return [row for row in rows or () if isinstance(row, dict)]


def _ticker(row: dict[str, Any], name: str) -> str:
    said = row.get(name)
    return said if isinstance(said, str) else ""


def _add_twins(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _add_twins(item)
    elif isinstance(value, dict):
        for inner in value.values():
            if isinstance(inner, dict | list):
                _add_twins(inner)
        # What the exchange itself still sends as an integer is left as it sends it.
        value.update({name: twin for name, twin in _twins(value) if name not in value})


def _twins(row: dict[str, Any]) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = []
    for name, value in row.items():
        if name.endswith(DOLLARS):
            twin, amount = name.removesuffix(DOLLARS), _amount(value)
            found.append((twin, None if amount is None else whole_cents(twin, amount)))
        elif name.endswith(COUNT):
            twin, amount = name.removesuffix(COUNT), _amount(value)
            found.append((twin, None if amount is None else whole_contracts(amount)))
    return found


def _amount(value: Any) -> Decimal | None:
    """An exact amount; None for what is unknown, or is none."""
    return Decimal(value) if isinstance(value, str) and AMOUNT.fullmatch(value) else None


def _event_of(ticker: str, events: dict[str, list[Any]]) -> str | None:
    """The event that a market's ticker begins with, the longest one."""
    while ticker and ticker not in events:
        ticker = ticker.rpartition("-")[0]
    return ticker or None
