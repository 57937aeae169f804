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
    lines: AsyncIterable[Line],
    end: tuple[int, bytes] | None,
    noted: tuple[int, bytes] | None = None,
) -> Report:
    """Follow the chain from its first line to its end; `noted` is a line somebody wrote down."""
    faults: list[Fault] = []
    if end is None:
        faults.append(Fault(0, "removed: the record of the log's own end is gone"))
    count, seq, last = 0, 0, START
    bond: bytes | None = START  # what the next line must be bound to; None after a faulty one
    noted_seen = noted is None or noted == (0, START)
    async for line in lines:
        count += 1
        found = _faults(line, seq, bond, end)
        faults += found
        seq, last = line.seq, line.hash
        bond = None if found else last
        noted_seen = noted_seen or noted == (seq, last)
    if end is not None and seq < end[0]:
        faults.append(Fault(seq + 1, f"removed: {_lines(seq + 1, end[0])} gone"))
    elif end is not None and bond is not None and last != end[1]:
        faults.append(Fault(seq, "changed: not the line that was written last"))
    if noted is not None and not noted_seen:
        faults.append(Fault(noted[0], "rewritten: not the line that was noted down"))
    return Report(count, seq, last, tuple(faults))


def _faults(line: Line, seq: int, bond: bytes | None, end: tuple[int, bytes] | None) -> list[Fault]:
    """What is wrong with a line that comes after the line `seq`."""
    if end is not None and line.seq > end[0]:
        return [Fault(line.seq, "inserted: written past the log's own end")]
    if line.hash != line.expected_hash():
        found = [Fault(line.seq, "changed or moved: not what was written in this place")]
    elif line.seq == seq + 1 and bond is not None and line.previous != bond:
        # Sound in itself, and bound to another line than the one before it.
        found = [Fault(line.seq, "changed or inserted: it does not follow the line before it")]
    else:
        found = []
    if line.seq > seq + 1:
        found.insert(0, Fault(seq + 1, f"removed: {_lines(seq + 1, line.seq - 1)} gone"))
    return found


def _lines(first: int, last: int) -> str:
    return f"line {first} is" if first == last else f"lines {first} to {last} are"
