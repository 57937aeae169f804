"""Reads the exchange's rows leniently: what differs is counted, what can be used is used."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

import msgspec

from .drift import Drift

# What an older field held: dollars (as text, or as a number of whole cents) or a count.
Unit = Literal["dollars", "count"]

# No price, sum or count of the exchange has more digits before its point.
MOST_DIGITS = 15
MOST_FORMS = 500
# A number where text belongs is read exactly either way, so it is looked for only now and then.
LOOK_AGAIN_AFTER = 64

_ZERO = Decimal(0)
_HUGE = Decimal(10) ** (MOST_DIGITS - 2)
_NULL = msgspec.Raw(b"null")
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_inner_parts = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]] | None)
_values = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

_UNREADABLE = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError)


class Shape(msgspec.Struct, frozen=True):
    """One kind of object as the exchange sends it.

    An object without its `identity` is of no use. `optional` fields may be absent by the
    exchange's own documents. `legacy` fields are known and sent no longer. `formerly` says which
    older field a newer one replaced. `kept_raw` fields are current and left to the raw row.
    """

    identity: ClassVar[frozenset[str]] = frozenset()
    optional: ClassVar[frozenset[str]] = frozenset()
    legacy: ClassVar[frozenset[str]] = frozenset()
    kept_raw: ClassVar[frozenset[str]] = frozenset()
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {}

    def check(self) -> None:
        """Refuse figures that are none; shapes inside others do this as they are made."""
        refuse_unplain(_figures_of(type(self))(self))


S = TypeVar("S", bound=Shape)


def refuse_unplain(figures: Sequence[Decimal | None]) -> None:
    """Refuse figures of which one is none."""
    if not _plain(figures):
        raise ValueError("a figure beyond all measure")


def read(kind: type[S], raw: bytes | msgspec.Raw, *, endpoint: str, drift: Drift) -> S | None:
    """The row as a `kind`, or None when it cannot be one; every difference is counted."""
    plain = _plain_reader_of(kind, endpoint, drift)
    value = plain.read(raw)
    if value is not None:
        return value
    try:
        parts = _parts.decode(raw)
    except _UNREADABLE:
        drift.note(endpoint, kind.__name__, "set_aside", raw)
        return None
    form = _form_of(kind, tuple(parts), endpoint, drift)
    form.note(parts, endpoint, drift)
    if plain.looks:
        _note_inside(kind, parts, "", endpoint, drift)
    if form.older or form.finds_numbers(parts, now=plain.looks):
        plain.step_aside()
    else:
        try:
            value = form.decode(raw)
            if _plain(form.figures(value)):
                return value
        except _UNREADABLE:
            pass  # Some field is not what it should be; mending finds out which.
    return _mend_row(kind, raw, endpoint, drift)


class _Form(Generic[S]):
    """One set of keys in which a kind has come, and what to make of it."""

    def __init__(self, kind: type[S], keys: tuple[str, ...]) -> None:
        present = frozenset(keys)
        known = frozenset(kind.__struct_fields__)
        self.unknown = tuple(key for key in keys if key not in known | kind.legacy | kind.kept_raw)
        self.missing = tuple(sorted(known - kind.optional - present))
        self.texts = tuple(key for key in keys if key in _text_figures(kind))
        self.older = any(
            new not in present and old in present for new, (old, _) in kind.formerly.items()
        )
        self._gone = tuple(key for key in keys if key in kind.legacy - known)
        self._look_in = 0
        self.decode: Callable[[bytes | msgspec.Raw], S] = _decoder_of(kind).decode
        self.figures = _figures_of(kind)

    def note(self, parts: dict[str, msgspec.Raw], endpoint: str, drift: Drift) -> None:
        for name in self.unknown:
            drift.note(endpoint, name, "unknown", parts[name])
        for name in self.missing:
            drift.note(endpoint, name, "missing")
        for name in self._gone:  # once is enough for what we knew
            drift.note(endpoint, name, "unknown", parts[name])
        self._gone = ()

    def finds_numbers(self, parts: dict[str, msgspec.Raw], *, now: bool) -> bool:
        """Whether a figure comes as a number where the exchange writes text."""
        self._look_in -= 1
        if self._look_in > 0 and not now:
            return False
        found = any(bytes(parts[name])[:1] not in (b'"', b"n") for name in self.texts)
        self._look_in = 0 if found else LOOK_AGAIN_AFTER
        return found


def _note_inside(
    kind: type[Shape], parts: dict[str, msgspec.Raw], path: str, endpoint: str, drift: Drift
) -> None:
    """Count what is unknown in the objects within a row, which nobody else looks at."""
    for name, below, inner, known in _shapes_within(kind):
        for row in _objects(parts.get(name, _NULL)):
            for key in row.keys() - known:
                drift.note(endpoint, f"{path}{below}{key}", "unknown", row[key])
            _note_inside(inner, row, path + below, endpoint, drift)


@cache
def _shapes_within(kind: type[Shape]) -> list[tuple[str, str, type[Shape], frozenset[str]]]:
    """The fields that hold objects: how a path goes on below, of which kind, and what it has."""
    found = []
    for field in msgspec.structs.fields(kind):
        inner, below = _without_none(field.type), f"{field.encode_name}."
        if get_origin(inner) is tuple:
            inner, below = get_args(inner)[0], f"{field.encode_name}[]."
        if isinstance(inner, type) and issubclass(inner, Shape):
            known = inner.legacy.union(inner.__struct_fields__)
            found.append((field.encode_name, below, inner, known))
    return found


def _objects(raw: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    """What stands there, be it one object, a list of them, or none."""
    try:
        found = _inner_parts.decode(raw)
    except _UNREADABLE:
        return []
    return [found] if isinstance(found, dict) else found or []


class _PlainReader(Generic[S]):
    """Reads a row that differs in nothing at one go, which is what nearly all of them are.

    Its shape has no room for what is unknown and no default for what is missing. It steps aside for
    a while once a row was different, since the next ones will be, too, and for one row now and
    then, so that its parts are looked at.
    """

    def __init__(self, kind: type[S]) -> None:
        self.looks = True
        self._decode: Callable[[bytes | msgspec.Raw], S] = _strict_decoder_of(kind).decode
        self._figures = _figures_of(kind)
        self._aside_for = 1

    def read(self, raw: bytes | msgspec.Raw) -> S | None:
        """The row, unless somebody should look at it."""
        self._aside_for -= 1
        self.looks = self._aside_for == 0
        if self._aside_for >= 0:
            return None
        if self._aside_for <= -LOOK_AGAIN_AFTER:
            self._aside_for = 1
        try:
            value = self._decode(raw)
            if _plain(self._figures(value)):
                return value
        except _UNREADABLE:
            pass  # Its parts tell why.
        self.step_aside()
        return None

    def step_aside(self) -> None:
        """Leave the next rows to who looks at their parts."""
        self._aside_for = LOOK_AGAIN_AFTER


@cache
def _strict_decoder_of(kind: type[Shape]) -> msgspec.json.Decoder[Any]:
    """Of the same shape, of which nothing may be missing but what is optional."""
    needed = [(f.name, f.type) for f in msgspec.structs.fields(kind) if f.name not in kind.optional]
    strict = msgspec.defstruct(
        kind.__name__,
        needed,
        bases=(kind,),
        module=__name__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return msgspec.json.Decoder(strict)


def _plain_reader_of(kind: type[S], endpoint: str, drift: Drift) -> _PlainReader[S]:
    readers: dict[str, _PlainReader[S]] = drift.remembered(kind)
    reader = readers.get(endpoint)
    if reader is None:
        reader = readers[endpoint] = _PlainReader(kind)
    return reader


def _form_of(kind: type[S], keys: tuple[str, ...], endpoint: str, drift: Drift) -> _Form[S]:
    forms: dict[tuple[str, ...], _Form[S]] = drift.remembered((kind, endpoint))
    form = forms.get(keys)
    if form is None:
        if len(forms) >= MOST_FORMS:
            forms.clear()
        form = forms[keys] = _Form(kind, keys)
    return form


@cache
def _decoder_of(kind: type[Shape]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _figures_of(kind: type[Shape]) -> Callable[[Shape], tuple[Decimal | None, ...]]:
    names = [f.name for f in msgspec.structs.fields(kind) if Decimal in (f.type, *get_args(f.type))]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _plain(figures: Sequence[Decimal | None]) -> bool:
    """Whether all are finite, and short enough to be written out.

    Their sum tells at a third of the price of asking each: it is as odd as the oddest of them.
    """
    try:
        total = sum(filter(None, figures), _ZERO)
    except ArithmeticError:
        return False
    return total.is_finite() and total.adjusted() < MOST_DIGITS


@cache
def _text_figures(kind: type[Shape]) -> frozenset[str]:
    fields = msgspec.structs.fields(kind)
    return frozenset(
        f.encode_name
        for f in fields
        if Decimal in (f.type, *get_args(f.type)) and is_text_figure(f.encode_name)
    )


def is_text_figure(name: str) -> bool:
    """Whether the exchange writes this field as text with exact digits.

    docs.kalshi.com/getting_started/fixed_point_migration: `_dollars` and `_fp` are strings.
    """
    return name.endswith(("_dollars", "_fp"))


def _mend_row(kind: type[S], raw: bytes | msgspec.Raw, endpoint: str, drift: Drift) -> S | None:
    try:
        row = _values.decode(raw)
    except _UNREADABLE:
        drift.note(endpoint, kind.__name__, "set_aside", raw)
        return None
    return _Mender(endpoint, drift).mend(kind, row, path="")


class _Mender:
    """Makes the best of a row field by field, and counts what it had to do."""

    def __init__(self, endpoint: str, drift: Drift) -> None:
        self._endpoint = endpoint
        self._drift = drift

    def mend(self, kind: type[S], row: dict[str, Any], path: str) -> S | None:
        modern = {**row, **_modernised(kind, row)}
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            value = modern.get(name)
            mended = self._field(field.type, value, path + name, counted=name in row)
            if mended is None and name in kind.identity:
                self._drift.note(self._endpoint, path + name, "set_aside", row)
                return None
            if mended is not None or field.required:
                values[field.name] = mended
        return kind(**values)

    def _field(self, wanted: Any, value: Any, path: str, *, counted: bool) -> Any:
        """The value as `wanted`, or None; a value of another type is counted."""
        if value is None:
            return None
        wanted = _without_none(wanted)
        if isinstance(wanted, type) and issubclass(wanted, Shape) and isinstance(value, dict):
            return self.mend(wanted, value, f"{path}.")
        if get_origin(wanted) is tuple and isinstance(value, list):
            inner = get_args(wanted)[0]
            if isinstance(inner, type) and issubclass(inner, Shape):
                return self._rows(inner, value, path)
        try:
            exact = msgspec.convert(value, wanted)
        except _UNREADABLE:
            exact = None
        if _is_unplain(exact):
            exact = None
        number = wanted is Decimal and is_text_figure(path) and not isinstance(value, str)
        retyped = exact is None or number
        if retyped and counted:
            self._drift.note(self._endpoint, path, "retyped", value)
        return _converted(wanted, value) if exact is None else exact

    def _rows(self, kind: type[S], rows: list[Any], path: str) -> tuple[S, ...]:
        """Those of a row's inner rows that can be used."""
        mended = []
        for row in rows:
            if isinstance(row, dict):
                inner = self.mend(kind, row, f"{path}[].")
                if inner is not None:
                    mended.append(inner)
            else:
                self._drift.note(self._endpoint, f"{path}[]", "set_aside", row)
        return tuple(mended)


def _modernised(kind: type[Shape], row: dict[str, Any]) -> dict[str, Any]:
    """What older fields say in the newer ones' place; whole cents become exact dollars."""
    modern: dict[str, Any] = {}
    for new, (old, unit) in kind.formerly.items():
        value = row.get(old)
        if new in row or value is None or isinstance(value, bool):
            continue
        if unit == "dollars" and isinstance(value, int):
            modern[new] = Decimal(value).scaleb(-2)
        elif unit == "count" or isinstance(value, str):
            modern[new] = value
    return modern


def _without_none(wanted: Any) -> Any:
    """`T` out of `T | None`."""
    said = [arg for arg in get_args(wanted) if arg is not type(None)]
    return said[0] if len(said) == 1 and type(None) in get_args(wanted) else wanted


def _converted(wanted: Any, value: Any) -> Any:
    """A value of another type as `wanted`, where that takes no guessing; else None.

    A number for a time is not converted: seconds and milliseconds look alike.
    """
    bare = get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted
    if isinstance(value, bool) or bare in (Decimal, datetime):
        return None
    if bare is str:
        return str(value) if isinstance(value, int | Decimal) else None
    if isinstance(value, Decimal):
        if _is_unplain(value):  # thirty bytes may say a million digits
            return None
        return int(value) if bare is int and value == value.to_integral_value() else None
    try:
        converted = msgspec.convert(value, wanted, strict=False)
    except _UNREADABLE:
        return None
    return None if _is_unplain(converted) else converted


def _is_unplain(value: object) -> bool:
    if isinstance(value, tuple):  # such as the levels of a book
        return any(map(_is_unplain, value))
    # Stricter than for a sum of many, which must stay within the bounds when each of them does.
    return isinstance(value, Decimal) and not (_plain((value,)) and abs(value) < _HUGE)
