"""Conditions on rows, and the values they speak of."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Question:
    """Conditions, and the values they speak of by number."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def value(self, value: Any) -> str:
        """The placeholder that stands for this value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def where(self, *more: str) -> str:
        return " AND ".join([*self.conditions, *more]) or "true"

    def also(self) -> "Question":
        """A copy, to ask for more."""
        return Question(list(self.conditions), list(self.values))
