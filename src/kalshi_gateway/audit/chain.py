"""Whether the audit log is what was written: every line in its place, none changed, none gone."""

from collections.abc import AsyncIterable
from dataclasses import dataclass

from .entry import Line

#: What the first line is bound to.
START = bytes(32)


@dataclass(frozen=True)
class Fault:
    """A place where the log is not what was written."""

    seq: int
    what: str


@dataclass(frozen=True)
class Report:
    """What reading the whole log has shown; place and hash of its last line are worth noting."""

    lines: int
    seq: int
    hash: bytes
    faults: tuple[Fault, ...]


async def verified(
    lines: AsyncIterable[Line], head: tuple[int, bytes], noted: tuple[int, bytes] | None = None
) -> Report:
    """Follow the chain from its first line to the head; `noted` is a line somebody wrote down."""
    faults: list[Fault] = []
    count, seq, last = 0, 0, START
    noted_seen = noted is None or noted == (0, START)
    async for line in lines:
        count += 1
        faults += _faults(line, seq, last, head)
        seq, last = line.seq, line.hash
        noted_seen = noted_seen or noted == (seq, last)
    if seq < head[0]:
        faults.append(Fault(seq + 1, f"removed: lines {seq + 1} to {head[0]} are gone"))
    elif (seq, last) != head:
        faults.append(Fault(seq, "changed: not the line that was written last"))
    if noted is not None and not noted_seen:
        faults.append(Fault(noted[0], "rewritten: not the line that was noted down"))
    return Report(count, seq, last, tuple(faults))


def _faults(line: Line, seq: int, last: bytes, head: tuple[int, bytes]) -> list[Fault]:
    """What is wrong with a line after the line `seq` that ended in `last`."""
    if line.seq > head[0]:
        return [Fault(line.seq, "inserted: written past the log's own end")]
    if line.seq > seq + 1:
        gone = (
            f"line {seq + 1} is"
            if line.seq == seq + 2
            else f"lines {seq + 1} to {line.seq - 1} are"
        )
        return [Fault(seq + 1, f"removed: {gone} gone"), *_changed(line)]
    found = _changed(line)
    if not found and line.previous != last:
        # Sound in itself, and bound to another line than the one before it.
        found = [Fault(line.seq, "moved or inserted: it does not follow the line before it")]
    return found


def _changed(line: Line) -> list[Fault]:
    if line.hash == line.expected_hash():
        return []
    return [Fault(line.seq, "changed or moved: not what was written in this place")]
