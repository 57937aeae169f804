"""The words a market is found by, and those of the text that finds it.

A document and a query are cut by the same rules, so whatever is in one is found by typing it, or
the beginning of it, into the other:

- case and accents do not count: "Côte" is `cote`, "Ødegaard" `odegaard`, "CO₂" `co2`;
- a word is letters and digits; everything else parts words and is dropped: "$100k" is `100k`,
  "86°" `86`, "Taylor-Johnson" `taylor` and `johnson`;
- except a point between digits, which stays ("4.75%" is `4.75`), and what is written inside a word
  but not pronounced, which closes up: "U.S." is `us`, "S&P" `sp`, "Trump's" `trumps`, "$52,300"
  `52300`;
- a ticker ("KXHIGHNY-26JUN15-T85") is also one word as a whole, and typed as far as that it is only
  that; its series is also a word without the `kx`;
- in documents a month is found by both its names, "Jun" and "June".
"""

import re
import unicodedata
from functools import lru_cache

LONGEST_WORD = 40
MOST_WORDS = 64
#: Beyond these a search is no more precise, only slower.
MOST_QUERY_WORDS = 16

_MONTHS = (
    ("jan", "january"),
    ("feb", "february"),
    ("mar", "march"),
    ("apr", "april"),
    ("jun", "june"),
    ("jul", "july"),
    ("aug", "august"),
    ("sep", "september"),
    ("oct", "october"),
    ("nov", "november"),
    ("dec", "december"),
)
_OTHER_NAME = {**dict(_MONTHS), **{full: short for short, full in _MONTHS}, "sept": "september"}

# Letters with a stroke or a ligature do not come apart by themselves.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
# Signs that would come apart into letters, and the apostrophes of print; \xba passes for a degree.
_SIGNS = str.maketrans({"\xba": " ", "\u2122": " ", "\u2019": "'", "\u02bc": "'"})

# All of ASCII but letters, digits and the joints parts words, whatever stands beside it.
_PARTING = bytes(code for code in range(128) if not chr(code).isalnum() and chr(code) not in "'&.,")
_APART = bytes.maketrans(_PARTING, b" " * len(_PARTING))
_JOINTS = re.compile(r"(?<=\w)['&](?=\w)|(?<=\d),(?=\d{1,3}(?!\d))|(?<=\b[^\W\d_])\.(?=[^\W\d_]\b)")
_WORD = re.compile(r"[^\W_]+(?:(?<=\d)\.\d[^\W_]*)*")
_TICKER = re.compile(r"kx[a-z0-9.-]*[a-z0-9]")


def words(*texts: str | None) -> list[str]:
    """The different words of a document, in the order they come."""
    found: dict[str, None] = {}
    for text in texts:
        if text:
            found.update(_words(text))
    return list(found)[:MOST_WORDS]


def ticker_words(ticker: str, event_ticker: str) -> list[str]:
    """What a market's ticker says beyond its event's: all of it as one word, and its last part."""
    if not ticker.startswith(event_ticker + "-"):
        return list(_words(ticker))
    folded = ticker.lower()
    whole = [folded[:LONGEST_WORD]] if _is_ticker(folded) else []
    return whole + list(_words(ticker[len(event_ticker) + 1 :]))


def typed(text: str) -> list[str]:
    """The different words of a search, as far as they are typed; a ticker is one word."""
    found: dict[str, None] = {}
    for token in _folded(text).split():
        found.update({token[:LONGEST_WORD]: None} if _is_ticker(token) else _cut(token))
    return list(found)[:MOST_QUERY_WORDS]


# The markets of an event share its title, and many an outcome: "Tie", "Before 2030".
@lru_cache(maxsize=4096)
def _words(text: str) -> dict[str, None]:
    folded = _folded(text)
    found = _cut(folded)
    if "kx" in folded:
        found = _tickers(folded) | found
    if not _OTHER_NAME.keys().isdisjoint(found):
        found |= {_OTHER_NAME[word]: None for word in found if word in _OTHER_NAME}
    return found


def _tickers(folded: str) -> dict[str, None]:
    """Whole tickers, and their series with and without the `kx`."""
    found: dict[str, None] = {}
    for token in folded.split():
        if not token.startswith("kx"):
            continue
        if _is_ticker(token):
            found[token[:LONGEST_WORD]] = None
        series = token.partition("-")[0]
        if series.isalnum():
            found[series[:LONGEST_WORD]] = None
            found[series[2 : LONGEST_WORD + 2] or series] = None
    return found


def _is_ticker(token: str) -> bool:
    return token.startswith("kx") and "-" in token and _TICKER.fullmatch(token) is not None


def _cut(folded: str) -> dict[str, None]:
    """The words, as the keys of a dict, which keep their order."""
    if folded.isascii():
        folded = folded.encode().translate(_APART).decode()
    # At the end of a word a comma joins nothing, and most titles have no other.
    chunks = folded.replace("_", " ").replace(", ", " ").split()
    # Nearly always these are the words: the regular expressions, slower, are for the rest.
    if "".join(chunks).isalnum() and max(map(len, chunks)) <= LONGEST_WORD:
        return dict.fromkeys(chunks)
    found: dict[str, None] = {}
    for chunk in chunks:
        if chunk.isalnum() and len(chunk) <= LONGEST_WORD:
            found[chunk] = None
        else:
            found.update(_parted(chunk))
    return found


@lru_cache(maxsize=4096)
def _parted(chunk: str) -> dict[str, None]:
    words = _WORD.findall(_JOINTS.sub("", chunk))
    return dict.fromkeys([word[:LONGEST_WORD] for word in words])


def _folded(text: str) -> str:
    """Without case and accents; folding twice changes nothing more."""
    if not text.isascii():
        text = text.replace("\xb0", " ").translate(_SIGNS)
    while not text.isascii():
        parts = unicodedata.normalize("NFKD", text.casefold()).translate(_PLAIN)
        plain = "".join([char for char in parts if not unicodedata.combining(char)])
        plain = unicodedata.normalize("NFC", plain)
        if plain == text:
            break
        text = plain
    return text.lower()
