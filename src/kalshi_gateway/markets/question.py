"""Conditions on rows, and the values they speak of."""

from dataclasses import dataclass, field, replace
from typing import Any

from .genres import Genres
from .search import Query


@dataclass
class Question:
    """Conditions, and the values they speak of by number."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    #: What it is to be of, where it is asked for a category or a tag.
    genres: Genres | None = None
    #: Whether it is read in the same way whatever the values are.
    read_one_way: bool = False

    def value(self, value: Any) -> str:
        """The placeholder that stands for this value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def asked(self, value: Any, kind: str) -> str:
        """The same, for a value that how it is read may depend on.

        Postgres looks into no subquery: there it plans once, and not anew for every page, which
        takes longer than to read one.
        """
        said = f"{self.value(value)}::{kind}"
        return f"(SELECT {said})" if self.read_one_way else said

    def below(self, column: str, bound: str) -> str:
        """The condition that a column is less than this.

        The same as without the ticker. Between two bounds of one column Postgres, which is not told
        which ones, expects next to nothing, and would read and sort it all.
        """
        return f"({column}, ticker) < ({bound}, '')" if self.read_one_way else f"{column} < {bound}"

    def of_genres(self) -> list[str]:
        """The condition that it is of these genres, if any are asked for."""
        if self.genres is None:
            return []
        return [f"genre = ANY({self.asked(self.genres.ids, 'bigint[]')}::bigint[])"]

    def where(self, *more: str) -> str:
        return " AND ".join([*self.conditions, *more]) or "true"

    def also(self, *more: str) -> "Question":
        """A copy that asks for more."""
        return replace(self, conditions=[*self.conditions, *more], values=list(self.values))

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
