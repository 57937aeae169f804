"""Finished JSON put together: what is stored as text is served as text."""

from collections.abc import Iterable

from fastapi import Response

from .freshness import Meta
from .units import to_json

JSON = "application/json"


def listed(name: str, bodies: Iterable[str], next_cursor: str | None, meta: Meta) -> Response:
    """A list of finished objects under the name of what is listed."""
    text = f'{{"{name}":[{",".join(bodies)}],"next_cursor":'.encode()
    return Response(
        b"".join((text, to_json(next_cursor), b',"meta":', to_json(meta), b"}")), media_type=JSON
    )


def detailed(body: str, meta: Meta, *more: str) -> Response:
    """A finished object with further members, and how old it is."""
    members = ",".join((body[:-1], *more))
    return Response(b"".join((members.encode(), b',"meta":', to_json(meta), b"}")), media_type=JSON)


def made(answer: object) -> Response:
    """An answer that was put together just now."""
    return Response(to_json(answer), media_type=JSON)
