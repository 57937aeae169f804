"""How a market reads to people: one clean line, whatever the exchange sends for it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

LONGEST_NAME = 300
LONGEST_OUTCOME = 160
LEGS_SHOWN = 6

#: Enough for the events of a page or two; a market's own texts are needed twice, then never again.
_REMEMBERED = 4096

# --- Texts ----------------------------------------------------------------------------------

_DASHES = "-\u2013\u2014"
_EDGES = " :;,|" + _DASHES
_NOTHING = _EDGES + ".?!_*\u2026"

# Invisible: controls, zero width, direction marks, lone surrogates. The joiners U+200C and U+200D
# stay, since scripts and emoji need them.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff"
)
_ODD_BLANKS = "\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SUSPECT = re.compile(f"[{_INVISIBLE}{_ODD_BLANKS}*_`~\\[]")
_DROPPED = re.compile(f"[{_INVISIBLE}]|\\*\\*|~~")

_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
_STARRED = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]+)(?<=\S)\*(?![\w*])")
_UNDERLINED = re.compile(r"(?<!\w)(__?)(?=\S)([^_]+)(?<=\S)\1(?!\w)")
_CODE = re.compile(r"`([^`]+)`")
_COLONS = re.compile(r"\s*:(?:\s*:)+\s*")
_LOOSE_DASHES = re.compile(f"^(?:[{_DASHES}]+\\s+)+|(?:\\s+[{_DASHES}]+)+$")


@lru_cache(maxsize=_REMEMBERED)
def clean(text: str | None) -> str | None:
    """The text as one line without markup, invisible characters and stray punctuation."""
    if not text:
        return None
    if "**" in text or "  " in text:
        # What most titles with markup need is quickly done, and nearly always all there is to do.
        text = " ".join(text.replace("**", "").split())
        if not text:
            return None
    if (
        (text[0].isalnum() or text[0] in "$<>")
        and text[-1] not in _EDGES
        and not ("  " in text or "::" in text or ": :" in text or _SUSPECT.search(text))
        and (text.isascii() or unicodedata.is_normalized("NFC", text))
    ):
        return text
    # What one layer of markup leaves may be markup again.
    while (tidied := _tidy(text)) != text:
        text = tidied
    return text if text.strip(_NOTHING) else None


def _tidy(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", _DROPPED.sub("", text)).split())
    # To look for a sign costs a tenth of what its expression does.
    if "[" in text:
        text = _LINK.sub(r"\1", text)
    if "*" in text:
        text = _STARRED.sub(r"\1", text)
    if "_" in text:
        text = _UNDERLINED.sub(r"\2", text)
    if "`" in text:
        text = _CODE.sub(r"\1", text)
    if ":" in text:
        text = _COLONS.sub(": ", text)
    if text[:1] in _DASHES or text[-1:] in _DASHES:
        text = _LOOSE_DASHES.sub("", text)
    return text.strip(" :;,|")


# --- Names ----------------------------------------------------------------------------------


def market_title(title: str | None, event_title: str | None) -> str | None:
    """A market's own title, or its event's."""
    return clean(title) or clean(event_title)


def display_name(
    *,
    ticker: str,
    title: str | None,
    outcome: str | None,
    event_title: str | None,
    event_sub_title: str | None,
    strike_type: str | None,
    floor: Decimal | None,
    cap: Decimal | None,
    legs: Sequence[tuple[str, str]] | None,
) -> str:
    """Question and outcome in one line; never empty.

    `legs` are a combo's (ticker, side) pairs; None where the market is no combo.
    """
    own, event, answer = clean(title), clean(event_title), clean(outcome)
    if legs is not None or ticker.startswith("KXMVE"):
        return _combo(own or answer, legs or ()) or _named_by_ticker(ticker, None, None)
    if answer is None or answer.lower() in {"yes", "no"}:
        strike = _strike(strike_type, floor, cap)
        question = own or event
        if question is None:
            return _named_by_ticker(ticker, strike, None)
        # The event's title alone would not tell its markets apart.
        answer = (strike or _market_part(ticker)) if question == event else None
    else:
        if own is None and event is None:
            return _named_by_ticker(ticker, None, answer)
        question, answer = _question(own, event, answer)
        if answer is not None and question == own and _says_strike(own, answer, floor, cap):
            answer = None
    return _line(_dated(question, _occasion(ticker, event_sub_title)), answer)


def _question(own: str | None, event: str | None, answer: str) -> tuple[str, str | None]:
    """What is asked, and the outcome unless the question says it already."""
    if own is None or event is None or own == event:
        question = own or event or ""
        return question, None if _says(question, answer) else answer
    if _says(event, answer):
        return (own if _says(own, answer) else event), None
    if own.endswith("?"):
        # "Before May" is better read where the question tells of which year.
        whole = answer.startswith(("Before ", "before ")) and _says(own, answer)
        return (own, None) if whole else (event, answer)
    if _says(own, answer):  # "Dallas wins": the outcome in better words
        return (own, None) if event.lower() in own.lower() else (event, own)
    return event, answer


def _line(question: str, answer: str | None) -> str:
    """Both within the limit: the outcome, coming last, is not what gets cut off."""
    if answer is None:
        return _shortened(question, LONGEST_NAME)
    if len(question) + len(answer) + 3 <= LONGEST_NAME:
        return f"{question} \u2014 {answer}"
    answer = _shortened(answer, LONGEST_OUTCOME)
    return f"{_shortened(question, LONGEST_NAME - len(answer) - 3)} \u2014 {answer}"


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    cut = text.rfind(" ", 0, limit)
    if cut < limit // 2:
        cut = limit - 1
    return text[:cut].rstrip(_EDGES) + "\u2026"


# --- What a question says already -----------------------------------------------------------

# A title may name outcomes only to offer them: "A vs B Winner?", "Will A or B be first?".
_OFFERED_BEFORE = re.compile(r"(?:\b(?:vs?\.?|or|and)\s+(?:the\s+)?|[@/&]\s*)$")
_OFFERED_AFTER = re.compile(r"\s+(?:vs?\.?|or|and)\b|\s*[@/&]|,.*\bor\b")
_HOST_BEFORE = re.compile(r"\bat\s+(?:the\s+)?$")
_HOST_AFTER = re.compile(r"\s+at\b")

_NUMBER = r"\$?(\d+(?:\.\d+)?)"
_THRESHOLD = re.compile(
    r"(?:[<>\u2264\u2265]=?|\b(?:above|below|over|under|than|least|most|exceed|reach))\s*"
    + _NUMBER,
    re.IGNORECASE,
)
_RANGE = re.compile(f"{_NUMBER}\\s*(?:[{_DASHES}]|to|and)\\s*{_NUMBER}", re.IGNORECASE)
_COMPARES = re.compile(
    r"\b(?:above|below|over|under|than|least|most|between|to|or (?:more|less|higher|lower|fewer))\b"
    r"|[<>\u2264\u2265]|\d\+",
    re.IGNORECASE,
)


def _says(text: str, answer: str) -> bool:
    """Whether the text is about this outcome, not merely about several it offers."""
    text = text.lower()
    wanted = answer.lower().rstrip("?!.")
    start = text.find(wanted)
    while start >= 0 and wanted:
        end = start + len(wanted)
        whole = not (text[max(start - 1, 0) : start].isalnum() or text[end : end + 1].isalnum())
        if whole and not _offered(text, start, end):
            return True
        start = text.find(wanted, start + 1)
    return False


def _offered(text: str, start: int, end: int) -> bool:
    before = text[max(start - 12, 0) : start]
    if _OFFERED_BEFORE.search(before) or _OFFERED_AFTER.match(text, end):
        return True
    # "Denver at Washington Winner?" offers two, "Will she say Iran at her briefing?" does not.
    if text.startswith("will "):
        return False
    return bool(_HOST_BEFORE.search(before) or _HOST_AFTER.match(text, end))


def _says_strike(text: str, answer: str, floor: Decimal | None, cap: Decimal | None) -> bool:
    """Whether an outcome in numbers ("86° or above") is in the question already (">85°")."""
    limit = cap if floor is None else floor
    text = text.replace(",", "")
    # Most questions do not hold the number at all, and that is soon seen.
    if limit is None or str(limit).partition(".")[0] not in text or not _COMPARES.search(answer):
        return False
    if floor is not None and cap is not None:
        limits = (floor, cap)
        return any((Decimal(low), Decimal(high)) == limits for low, high in _RANGE.findall(text))
    return any(Decimal(number) == limit for number in _THRESHOLD.findall(text))


# --- Strikes and combos ---------------------------------------------------------------------

_ABOVE = {"greater": ">", "greater_or_equal": "\u2265"}
_BELOW = {"less": "<", "less_or_equal": "\u2264"}

_NEXT_LEG = re.compile(r",\s*(?=(?:yes|no)\b)", re.IGNORECASE)
_LEG = re.compile(r"(yes|no)\b\s*(.*)", re.IGNORECASE)


def _strike(kind: str | None, floor: Decimal | None, cap: Decimal | None) -> str | None:
    """The strike in signs: ">85", "84 to 85"; None where numbers do not decide."""
    if kind == "between" and floor is not None and cap is not None:
        return f"{_plain(floor)} to {_plain(cap)}"
    if kind in _ABOVE and floor is not None:
        return _ABOVE[kind] + _plain(floor)
    if kind in _BELOW and cap is not None:
        return _BELOW[kind] + _plain(cap)
    return None


def _plain(number: Decimal) -> str:
    # Written out, a large exponent would be a million digits.
    if not number.is_finite() or abs(number.adjusted()) > 20:
        return str(number)
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _combo(text: str | None, legs: Sequence[tuple[str, str]]) -> str | None:
    """The legs as "A + B + No: C", from "yes A,yes B,no C" or else from their tickers."""
    if text is not None:
        told = [leg for part in _NEXT_LEG.split(text) if (leg := _LEG.fullmatch(part))]
        if not told:
            return _line(text, None)
        sides = [(leg[1], clean(leg[2]) or "?") for leg in told]
    else:
        sides = [(side, _named_by_ticker(ticker, None, None)) for ticker, side in legs if ticker]
    counts = Counter(f"No: {name}" if side.lower() == "no" else name for side, name in sides)
    line, shown = "", 0
    for number, (name, count) in enumerate(counts.items()):
        part = _shortened(name, LONGEST_OUTCOME) + (f" \u00d7{count}" if count > 1 else "")
        if number == LEGS_SHOWN or len(line) + len(part) > LONGEST_NAME - len(" +  + 999 more"):
            return f"{line} + {len(sides) - shown} more"
        line = f"{line} + {part}" if line else part
        shown += count
    return line or None


# --- Tickers, for people; dates and hours in them are Eastern Time (docs: getting_started/terms) --

_FULL_MONTH = {
    "Jan": "January",
    "Feb": "February",
    "Mar": "March",
    "Apr": "April",
    "May": "May",
    "Jun": "June",
    "Jul": "July",
    "Aug": "August",
    "Sep": "September",
    "Oct": "October",
    "Nov": "November",
    "Dec": "December",
}
_MONTH = "|".join(_FULL_MONTH).upper()
_DAY = r"0[1-9]|[12]\d|3[01]"
_HOUR = r"[01]\d|2[0-3]"

# 26AUG, 26FEB12, 26JAN1017 (an hour), 26SEP261900, and games: 25NOV30DENWAS, 26JUN111310AZMIA.
_DATE = re.compile(
    rf"(?P<year>\d\d)(?P<month>{_MONTH})(?:(?P<day>{_DAY})"
    rf"(?:(?P<hour>{_HOUR})(?P<minute>[0-5]\d|$))?(?P<rest>[A-Z0-9]*))?"
)
# The demo exchange also writes 11JUN26H0140, the day first.
_DEMO_DATE = re.compile(
    rf"(?P<day>{_DAY})(?P<month>{_MONTH})(?P<year>\d\d)H(?P<hour>{_HOUR})(?P<minute>[0-5]\d)"
    r"(?P<rest>)"
)
_MONTH_DAY = re.compile(rf"({_MONTH})({_DAY})")
_DASH = re.compile(r"(?<!-[TB])-")  # not the minus of T-5
_STRIKE_PART = re.compile(r"[TB]?-?\d+(?:\.\d+)?")

_DAY_SAID = re.compile(rf"\(((?:{'|'.join(_FULL_MONTH)}) \d\d?)\)$")
_CLOCK_SAID = re.compile(r"\d ?[AP]\.?M\b|\d:\d\d", re.IGNORECASE)


def _occasion(ticker: str, event_sub_title: str | None) -> str | None:
    """The day of a game or the hour of a price, which tell apart events of one title."""
    if event_sub_title and (said := _DAY_SAID.search(event_sub_title)):
        return said[1]
    parts = ticker.split("-", 2)
    return _occasion_of(parts[1]) if len(parts) > 1 else None


@lru_cache(maxsize=_REMEMBERED)
def _occasion_of(part: str) -> str | None:
    date = _dated_part(part)
    if date is None:
        return None
    if date["rest"]:
        return f"{date['month'].title()} {int(date['day'])}"
    return _clock(date["hour"], date["minute"]) if date["hour"] else None


def _dated_part(part: str) -> re.Match[str] | None:
    return _DEMO_DATE.fullmatch(part) or _DATE.fullmatch(part)


@lru_cache(maxsize=_REMEMBERED)
def _dated(question: str, occasion: str | None) -> str:
    if occasion is None or occasion in question:
        return question
    if occasion.endswith(" ET"):
        said = _CLOCK_SAID.search(question) is not None
    else:
        month, day = occasion.split()
        said = f"{_FULL_MONTH[month]} {day}" in question
    return question if said else f"{question} ({occasion})"


def _market_part(ticker: str) -> str | None:
    """What only this market's ticker has; None where the event has no other market."""
    return clean("".join(ticker.split("-", 2)[2:]))


def _named_by_ticker(ticker: str, strike: str | None, answer: str | None) -> str:
    """`KXHIGHNY-26JUN15-T85`, above 85, as "HIGHNY Jun 15, 2026 >85"."""
    parts = _DASH.split(ticker)
    if answer is not None:
        del parts[2:]
    elif strike is not None:
        # Only `strike_type` knows the direction: the letter T stands for above and for below.
        if _STRIKE_PART.fullmatch(parts[-1]) and not _is_year(parts, len(parts) - 1):
            del parts[-1]
        parts.append(strike)
    return _line(clean(_spelled(parts)) or "Unnamed market", answer)


def _spelled(parts: list[str]) -> str:
    words = [parts[0].removeprefix("KX") or parts[0]]
    year = minute = ""
    for number, part in enumerate(parts[1:], 1):
        date = _dated_part(part)
        if date:
            words.append(_date(date))
            minute = date["minute"] or ""
        elif _is_year(parts, number):
            year = f"20{part}"
            words.append(year)
        elif year and (day := _MONTH_DAY.fullmatch(part)):
            words[-1] = f"{day[1].title()} {int(day[2])}, {year}"
        elif part != minute:  # a 15-minute market repeats the minutes of its event
            words.append(part)
    return " ".join(words)


def _is_year(parts: list[str], number: int) -> bool:
    return number == 1 and len(parts[1]) == 2 and parts[1].isdecimal()


def _date(date: re.Match[str]) -> str:
    month, year = date["month"].title(), f"20{date['year']}"
    text = f"{month} {int(date['day'])}, {year}" if date["day"] else f"{month} {year}"
    if date["hour"]:
        text += f", {_clock(date['hour'], date['minute'])}"
    return f"{text} {date['rest']}" if date["rest"] else text


def _clock(hour: str, minute: str | None) -> str:
    minutes = f":{minute}" if minute and minute != "00" else ""
    return f"{int(hour) % 12 or 12}{minutes} {'AM' if int(hour) < 12 else 'PM'} ET"
