"""Homes for a Postgres of our own."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import postgres
from tests.embedded.processes import acquire, eventually, has_stopped


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in which no test may leave a server running."""
    with postgres.temporary_folder() as folder:
        yield folder
        for used in folder.rglob("server.json"):
            eventually(partial(has_stopped, used.parent))


@pytest.fixture(scope="session")
def used_home() -> Iterator[Path]:
    """A home with data in it: they survive what the tests do, and cost more than most of them."""
    with postgres.temporary_folder() as folder:
        acquire(folder / "home").release()
        yield folder / "home"


@pytest.fixture
def home(used_home: Path) -> Iterator[Path]:
    """A home with data in it, in which no test may leave a server running."""
    yield used_home
    eventually(partial(has_stopped, used_home))
