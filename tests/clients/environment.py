"""Where clients made for the exchange are installed: an environment of their own.

`python -m tests.clients.environment` makes it. The official SDK needs a newer Python than the
gateway, so the newest that can be found is taken; PYTHON names another.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from operator import itemgetter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-clients"
STAMP = HOME / "requirements.lock"
LOCK = Path(__file__).with_name("requirements.lock")
VERSIONS = ("3.14", "3.13", "3.12", "3.11")
SDK_NEEDS = (3, 13)


def interpreter() -> Path | None:
    """The Python that clients run in; None before they are installed."""
    python = HOME / "bin" / "python"
    return python if python.exists() else None


@cache
def has(package: str) -> bool:
    """Whether clients can import a package."""
    python = interpreter()
    if python is None:
        return False
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return subprocess.run([python, "-I", "-c", code, package], check=False).returncode == 0


def needed(package: str) -> pytest.MarkDecorator:
    """Skips tests where clients cannot import a package."""
    return pytest.mark.skipif(not has(package), reason=f"{package} is not here: make clients")


def install() -> tuple[int, int]:
    """Put what is locked into the environment, made anew; tells which Python it has."""
    python, version = newest()
    shutil.rmtree(HOME, ignore_errors=True)
    run(python, "-m", "venv", HOME)
    pip = (HOME / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input")
    run(*pip, "--disable-pip-version-check", "--require-hashes", "--requirement", LOCK)
    STAMP.write_bytes(LOCK.read_bytes())
    return version


def is_installed() -> bool:
    """Whether the environment has what is locked now."""
    return STAMP.exists() and STAMP.read_bytes() == LOCK.read_bytes()


def run(*command: str | Path) -> None:
    """Run a command that must succeed; a pip told to install for the user is told not to."""
    subprocess.run(command, check=True, env={**os.environ, "PIP_USER": "0"})


def newest() -> tuple[str, tuple[int, int]]:
    """The newest Python there is, and which one that is."""
    found = ((python, version_of(python)) for python in candidates())
    usable = [(python, version) for python, version in found if version is not None]
    if not usable:
        sys.exit("no Python from 3.11 to 3.14 that has its venv module; PYTHON names one")
    return max(usable, key=itemgetter(1))


def candidates() -> Iterator[str]:
    """Pythons there may be: the one named, or those on the path, pyenv's, uv's, and our own."""
    if "PYTHON" in os.environ:
        yield os.environ["PYTHON"]
        return
    yield from (f"python{version}" for version in VERSIONS)
    for kept in (".pyenv/versions", ".local/share/uv/python"):
        yield from map(str, sorted((Path.home() / kept).glob("*/bin/python3")))
    yield sys.executable


def version_of(python: str) -> tuple[int, int] | None:
    """Which Python this is; None if it does not run, or clients do not run in it."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    command = [python, "-I", "-c", code]
    try:
        told = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor = map(int, told.stdout.split())
    return (major, minor) if f"{major}.{minor}" in VERSIONS else None


def main() -> None:
    """Install what is not installed yet."""
    if is_installed():
        return
    print(f"clients: setting up {HOME.name}; this takes a minute, once", file=sys.stderr)  # noqa: T201
    if install() < SDK_NEEDS:
        needed = ".".join(map(str, SDK_NEEDS))
        print(f"clients: no official SDK, which needs Python {needed}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
