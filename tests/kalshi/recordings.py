"""Real answers of the exchange, kept beside the checkout as reference data."""

from pathlib import Path

import msgspec
import pytest

REST = Path(__file__).parents[3] / "shared" / "kalshi" / "recordings" / "rest"

needed = pytest.mark.skipif(
    not REST.is_dir(), reason="no recorded answers in ../shared/kalshi/recordings"
)


def files(*folders: str) -> list[str]:
    """The recordings of these endpoints, by name; one that says so where there are none."""
    found = [str(path.relative_to(REST)) for folder in folders for path in REST.glob(f"{folder}/*")]
    return sorted(found) or ["none"]


def body(name: str) -> bytes:
    """One recorded answer."""
    return (REST / name).read_bytes()


def parts(name: str) -> dict[str, msgspec.Raw]:
    """The members of one recorded answer's envelope, verbatim."""
    return msgspec.json.decode(body(name), type=dict[str, msgspec.Raw])


def rows(raw: msgspec.Raw) -> list[bytes]:
    """The members of a list, each with its own text."""
    return [bytes(row) for row in msgspec.json.decode(raw, type=list[msgspec.Raw])]
