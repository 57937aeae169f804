"""The server comes when it is needed, goes with its last user, and survives every death."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kalshi_gateway.embedded import build, supervisor
from kalshi_gateway.embedded.server import Server
from tests.embedded.processes import (
    Holder,
    acquire,
    answers,
    ask,
    eventually,
    has_stopped,
    is_alive,
    postmaster_of,
    supervisor_of,
)


def test_server_starts_from_nothing_and_leaves_nothing_running(folder: Path) -> None:
    """A new home gets a server with our database; releasing it stops the server."""
    server = acquire(folder / "new")

    assert ask(server.url(), "SELECT current_database()") == "kalshi_gateway"
    pid = postmaster_of(folder / "new")
    assert is_alive(pid)
    server.release()

    assert not is_alive(pid)
    assert has_stopped(folder / "new")


def test_last_user_stops_the_server(home: Path) -> None:
    """The server stays while anyone uses it, whoever started it."""
    first = acquire(home)
    second = acquire(home)

    first.release()
    assert ask(second.url(), "SELECT true")
    pid = postmaster_of(home)
    second.release()

    assert not is_alive(pid)


def test_processes_that_start_at_once_share_one_server(folder: Path) -> None:
    """Five processes that find an empty home at the same time end up on one server."""
    holders = [Holder(folder / "cold") for _ in range(5)]

    urls = {holder.url() for holder in holders}
    starts = (folder / "cold/postgres.log").read_text().count("starting PostgreSQL")
    for holder in holders:
        holder.end()

    assert len(urls) == 1
    assert urls != {""}
    assert starts == 1
    eventually(partial(has_stopped, folder / "cold"))


def test_killed_user_leaves_nothing_running(home: Path) -> None:
    """A user killed with -9 takes the server along, since nobody else is there."""
    holder = Holder(home)
    holder.url()
    pid = postmaster_of(home)

    holder.kill()

    eventually(partial(has_stopped, home))
    assert not is_alive(pid)


def test_user_killed_while_starting_leaves_nothing_running(folder: Path) -> None:
    """A process killed in the middle of the first start is no hindrance to the next one."""
    holder = Holder(folder / "cold")
    eventually(lambda: bool(list(folder.glob("cold/pg*.new-*"))))
    holder.kill()

    with acquire(folder / "cold") as server:
        answer = ask(server.url(), "SELECT true")

    assert answer is True


def test_unfinished_business_is_cleared_away(home: Path) -> None:
    """What an interrupted start left half made goes with the next one."""
    leftovers = [home / "pg18.new-abc", home / "postgres-unfinished-abc"]
    for leftover in leftovers:
        (leftover / "base").mkdir(parents=True)

    acquire(home).release()

    assert not any(leftover.exists() for leftover in leftovers)


def test_killed_supervisor_takes_the_server_along(home: Path) -> None:
    """A supervisor killed with -9 leaves no orphan, and the next user finds a server."""
    with acquire(home):
        orphan, killed = postmaster_of(home), supervisor_of(home)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not is_alive(killed))
        with acquire(home) as server:
            answer = ask(server.url(), "SELECT true")

    assert answer is True
    assert not is_alive(orphan)


def test_orphan_is_stopped_before_the_next_start(home: Path) -> None:
    """A postmaster without a supervisor, as macOS leaves one, gives way to a new one."""
    with acquire(home):
        pass
    server = Server.load(home)
    orphan = subprocess.Popen(server.command, **build.as_user(server.account))
    eventually(server.answers)

    with acquire(home):
        replaced = postmaster_of(home) != orphan.pid

    assert replaced
    assert orphan.wait() == 0


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps here")
def test_orphan_is_recognised_without_proc(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc, ps tells our postmaster from any other process."""
    with acquire(home):
        ours = Server.load(home)
        monkeypatch.setattr(sys, "platform", "darwin")
        recognised = supervisor.serves(ours.recorded_pid() or 0, ours.data)
        mistaken = supervisor.serves(os.getpid(), ours.data)

    assert recognised
    assert not mistaken


def test_killed_postmaster_comes_back(home: Path) -> None:
    """A postmaster killed with -9 is started again for those who still use it."""
    with acquire(home) as server:
        killed = postmaster_of(home)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        eventually(lambda: postmaster_of(home) != killed and answers(server.url()))


@pytest.mark.parametrize("reap", [True, False], ids=["gone", "zombie"])
def test_pid_of_a_dead_process_is_forgotten(home: Path, reap: bool) -> None:
    """A recorded pid whose process is dead does not keep the server from starting."""
    dead = subprocess.Popen(["true"])
    eventually(lambda: not is_alive(dead.pid))
    if reap:
        dead.wait()
    record(home, dead.pid)

    with acquire(home) as server:
        answer = ask(server.url(), "SELECT true")

    assert answer is True
    dead.wait()


def test_pid_of_a_stranger_is_forgotten(home: Path) -> None:
    """A recorded pid that is now another process's is neither trusted nor touched."""
    stranger = subprocess.Popen(["sleep", "600"])
    record(home, stranger.pid)

    try:
        with acquire(home) as server:
            answer = ask(server.url(), "SELECT true")
        still_there = stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()

    assert answer is True
    assert still_there


def record(home: Path, pid: int) -> None:
    """Leave behind what a server killed with -9 leaves, under another pid."""
    with acquire(home):
        [pidfile] = home.glob("pg*/postmaster.pid")
        kept = pidfile.read_text().splitlines()
    pidfile.write_text("\n".join([str(pid), *kept[1:]]) + "\n")
    if owner := Server.load(home).account:
        os.chown(pidfile, owner.uid, owner.gid)
