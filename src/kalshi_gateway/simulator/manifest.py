"""MANIFEST.md of a directory of recordings: when each was made, and of what."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
FACTS = re.compile(r"request facts: (\{.*\})")
MARKET_PATH = re.compile(r"/markets/([A-Z0-9][A-Z0-9.-]+)/")
IN_BRACKETS = re.compile(r"\(([A-Z0-9]+-[A-Z0-9.-]+)\)")


@dataclass(frozen=True)
class Manifest:
    """The manifest's rows by file; everything is optional, file names carry dates too."""

    rows: dict[str, list[str]] = field(default_factory=dict)

    def recorded(self, name: str) -> str:
        """The day a file was recorded; empty, and so older than all others, when not known."""
        in_name = DATE.search(name)
        return in_name.group() if in_name else ""

    def facts(self, name: str) -> dict[str, Any]:
        """The parameters of the request, where they were written down."""
        written = FACTS.search(self._note(name))
        if written is None:
            return {}
        facts: dict[str, Any] = json.loads(written.group(1))
        return facts

    def replaced(self, name: str) -> bool:
        """Whether whoever recorded a file put other values in the place of its own."""
        return "VALUES replaced" in self._note(name)

    def ticker(self, name: str) -> str | None:
        """The market a file is about, where it is written down."""
        row = self.rows.get(name, ["", ""])
        in_path, in_note = MARKET_PATH.search(row[1]), IN_BRACKETS.search(self._note(name))
        fact: str | None = self.facts(name).get("ticker")
        written = in_path or in_note
        return fact or (written.group(1) if written is not None else None)

    def _note(self, name: str) -> str:
        return " ".join(self.rows.get(name, []))


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a directory; an empty one where there is none."""
    path = directory / "MANIFEST.md"
    if not path.exists():
        return Manifest()
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return Manifest({row[0].strip("`"): row for row in cells if row[0].startswith("`")})
