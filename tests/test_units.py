"""Dollars, Contracts and moments: exact inside and exact outside."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kalshi_gateway.units import Moment, centicontracts, microdollars, moment, to_json

amounts = st.decimals(
    min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=6, allow_nan=False
)


def digits(value: object) -> str:
    """A JSON number as it was written."""
    found: list[str] = []
    json.loads(to_json([value]), parse_float=found.append, parse_int=found.append)
    (written,) = found
    return written


@given(amounts)
def test_digit_for_digit(amount: Decimal) -> None:
    """What is written is a JSON number, and read exactly it is the same amount."""
    assert Decimal(digits(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0.1234", "0.1234"),
        ("0.0001", "0.0001"),
        ("0.000001", "0.000001"),
        ("306.24", "306.24"),
        ("12.50", "12.50"),
        ("0.00", "0.00"),
        ("0", "0"),
        ("123456789012345.67", "123456789012345.67"),
        ("99999999999999.99", "99999999999999.99"),
        ("0.1", "0.1"),
    ],
)
def test_exact_digits(amount: str, written: str) -> None:
    """No digit is lost or made up, where a float would do both."""
    assert digits(Decimal(amount)) == written


@given(amounts)
def test_microdollars(amount: Decimal) -> None:
    """A millionth of a dollar is the smallest part, so nothing is lost by counting them."""
    assert Decimal(microdollars(amount) or 0).scaleb(-6) == amount
    assert microdollars(None) is None


@given(st.decimals(min_value=0, max_value=Decimal("1e13"), places=2))
def test_centicontracts(count: Decimal) -> None:
    """A hundredth of a contract is the smallest part."""
    assert Decimal(centicontracts(count) or 0).scaleb(-2) == count
    assert centicontracts(None) is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2026-02-12T23:59:00+00:00", "2026-02-12T23:59:00Z"),
        ("2026-02-12T23:59:00.999999+00:00", "2026-02-12T23:59:00Z"),
        ("2026-02-12T18:59:00-05:00", "2026-02-12T23:59:00Z"),
        ("1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00Z"),
        ("2200-12-31T23:59:59+00:00", "2200-12-31T23:59:59Z"),
        ("1969-12-31T23:59:59+00:00", None),
        ("1970-01-01T00:59:00+01:00", None),
        ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"),
        ("2201-01-01T00:00:00+00:00", None),
        ("2200-12-31T23:30:00-01:00", None),
        ("2201-01-01T00:30:00+01:00", "2200-12-31T23:30:00Z"),
        ("0001-01-01T00:00:00+05:00", None),
        ("9999-12-31T23:59:59-05:00", None),
    ],
)
def test_moments(said: str, told: str | None) -> None:
    """A moment is told in UTC, whole seconds and `Z`; one of an odd year is unknown."""
    found = moment(datetime.fromisoformat(said))

    assert json.loads(to_json(found)) == told


def test_unknown_moment() -> None:
    """What is unknown stays unknown."""
    assert moment(None) is None


@given(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])).filter(
        lambda at: 1971 <= at.year <= 2199
    )
)
def test_moments_of_every_kind(at: datetime) -> None:
    """Whatever the zone and the fraction, it is the second that the instant lies in."""
    found = moment(at)

    assert found is not None
    assert timedelta() <= at - found < timedelta(seconds=1)
    assert found.tzinfo is UTC
    assert found.microsecond == 0


@dataclass
class Told:
    at: Moment


def test_one_spelling() -> None:
    """pydantic writes a moment as our own encoder does."""
    at = datetime(2026, 2, 12, 23, 59, tzinfo=UTC)

    assert (
        TypeAdapter(Told).dump_json(Told(at))
        == to_json(Told(at))
        == (b'{"at":"2026-02-12T23:59:00Z"}')
    )
