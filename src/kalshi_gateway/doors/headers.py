"""What of a client's headers goes on to the exchange."""

import re
from collections.abc import Iterable

from kalshi_gateway.kalshi.calls import Headers

#: RFC 9110, 7.6.1: what belongs to one connection; and what ours makes itself.
HOP_BY_HOP = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: Who asks, from where, and by what way it came here.
IDENTITY = frozenset(
    {
        b"authorization",
        b"client-ip",
        b"cookie",
        b"cookie2",
        b"forwarded",
        b"from",
        b"origin",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"referer",
        b"true-client-ip",
        b"via",
    }
)
IDENTITY_PREFIXES = (
    b"cf-",
    b"fastly-",
    b"kalshi-access-",
    b"sec-",
    b"x-amzn-",
    b"x-client-",
    b"x-cluster-",
    b"x-envoy-",
    b"x-forwarded-",
    b"x-original-",
    b"x-real-",
)
#: Longer ones no client has reason to send.
LONGEST_LANGUAGES = 200

#: What a query is made of on its way; the rest no client sends as it stands.
SEEN = re.compile(rb"[\x21-\x7e]*")

Lines = Iterable[tuple[bytes, bytes]]


def can_be_sent(query: bytes) -> bool:
    """Whether a query can be part of a request line as it stands."""
    return SEEN.fullmatch(query) is not None and b"#" not in query


def end_to_end(headers: Lines) -> Headers:
    """What goes on with a write: all but what belongs to the connection, or tells who asks."""
    lines = list(headers)
    named = b",".join(value for name, value in lines if name == b"connection")
    dropped = {name.strip().lower() for name in named.split(b",")} | HOP_BY_HOP | IDENTITY
    return tuple(
        (name, value)
        for name, value in lines
        if name not in dropped and not name.startswith(IDENTITY_PREFIXES) and value.isascii()
    )


def of_answers(headers: Lines) -> Headers:
    """What goes on with a read, and tells answers apart: in which language texts are wanted."""
    wanted = b", ".join(value for name, value in headers if name == b"accept-language")
    if not wanted or len(wanted) > LONGEST_LANGUAGES or not wanted.isascii():
        return ()
    return ((b"accept-language", wanted),)
