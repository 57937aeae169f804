"""Conditions on rows, and the values they speak of."""

from dataclasses import dataclass, field
from typing import Any

from .search import Query


@dataclass
class Question:
    """Conditions, and the values they speak of by number."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    #: Those of them that only the row itself tells, and no index that a list is read from.
    told_by_row: list[str] = field(default_factory=list)
    #: Whether how it is best read depends on the values.
    varies: bool = False

    def value(self, value: Any) -> str:
        """The placeholder that stands for this value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def any_value(self, value: Any, kind: str) -> str:
        """The same, for a condition that is best read in one way whatever the value is.

        Postgres looks into no subquery: it plans once, and not anew for every page, which takes
        longer than to read one.
        """
        return f"(SELECT {self.value(value)}::{kind})"

    def where(self, *more: str) -> str:
        return " AND ".join([*self.conditions, *more]) or "true"

    def also(self, *more: str) -> "Question":
        """A copy that asks for more."""
        return Question(
            [*self.conditions, *more], list(self.values), list(self.told_by_row), self.varies
        )

    def without_rows(self) -> "Question":
        """What an index tells of it."""
        told = [one for one in self.conditions if one not in self.told_by_row]
        return Question(told, list(self.values), varies=self.varies)

    def has_words(self, query: Query | None) -> str:
        """The condition that a row is found by this query."""
        if query is None:
            return "false"
        whole = f"search @@ {self.value(query.whole)}::text::tsquery"
        if query.anchor == query.whole:
            return whole
        # IS TRUE keeps the index of words from being asked for what it is slow to tell.
        return f"(search @@ {self.value(query.anchor)}::text::tsquery AND ({whole}) IS TRUE)"

    def lacks_words(self, query: Query) -> str:
        """The condition that a row is not found by it."""
        return f"NOT search @@ {self.value(query.whole)}::text::tsquery"
