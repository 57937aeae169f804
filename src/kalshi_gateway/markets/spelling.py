"""How far two words are apart, and which words a misspelt one may stand for."""

from collections.abc import Mapping

#: Shorter words are never mended: too many others are one letter away.
SHORTEST_MENDED = 4
#: In words as long as this, two mistakes are forgiven.
LONG_WORD = 8
#: A misspelt word stands for no more than this.
MOST_MEANT = 3
#: The beginning of a word that is still being typed is compared from here on.
SHORTEST_BEGINNING = 5

#: A mistake changes three trigrams; two letters in each other's place change four.
_CHANGED_BY_A_MISTAKE = 4


def mistakes_in(word: str) -> int:
    """How many letters may be wrong, missing, too many or in the next one's place."""
    if len(word) < SHORTEST_MENDED:
        return 0
    return 1 if len(word) < LONG_WORD else 2


def trigrams(word: str) -> list[str]:
    """Each three letters in a row, with two blanks before and behind the word."""
    padded = f"  {word}  "
    return sorted({padded[start : start + 3] for start in range(len(padded) - 2)})


def least_shared(word: str) -> int:
    """How many of the word's trigrams are left, at least, in what it stands for.

    The two behind its end do not count: the word may still be going on.
    """
    return max(2, len(trigrams(word)) - 2 - _CHANGED_BY_A_MISTAKE * mistakes_in(word))


def likeliest(word: str, candidates: Mapping[str, int]) -> list[str]:
    """The nearest of the candidates, the most frequent first; a beginning counts if none is whole.

    Given are the candidates with their frequencies.
    """
    most = mistakes_in(word)
    nearness = {candidate: _nearness(word, candidate, most) for candidate in candidates}
    nearest = min(nearness.values(), default=(most + 1, False))
    if nearest[0] > most:
        return []
    meant = [candidate for candidate, near in nearness.items() if near == nearest]
    return sorted(meant, key=lambda candidate: (-candidates[candidate], candidate))[:MOST_MEANT]


def _nearness(word: str, candidate: str, most: int) -> tuple[int, bool]:
    """The distance to the candidate or to a beginning of it, and whether it is the latter."""
    distances = _distances(word, candidate[: len(word) + most])
    whole = distances[-1] if len(candidate) <= len(word) + most else most + 1
    if len(word) < SHORTEST_BEGINNING or whole <= min(distances):
        return whole, False
    return min(distances), True


def _distances(word: str, other: str) -> list[int]:
    """The distances from a word to each beginning of another, the empty one included.

    Counted are letters put in, left out, replaced, and neighbours in each other's place.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        older, before, row = before, row, [i]
        for j, match in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != match))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == match:
                best = min(best, older[j - 2] + 1)
            row.append(best)
    return row
