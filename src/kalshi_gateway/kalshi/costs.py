"""What an operation of the exchange costs, in tokens."""

from .wire import EndpointCosts

DEFAULT_COST = 10
# What differs from the default (`GET /account/endpoint_costs`, measured 2026-06 on demo).
KNOWN_COSTS = {
    ("POST", "/communications/quotes"): 2,
    ("GET", "/communications/quotes/{}"): 2,
    ("DELETE", "/communications/quotes/{}"): 2,
    ("GET", "/communications/rfqs/{}/quotes/{}"): 2,
    ("DELETE", "/communications/rfqs/{}/quotes/{}"): 2,
    ("GET", "/portfolio/orders/{}"): 2,
    ("DELETE", "/portfolio/events/orders"): 2,
    ("DELETE", "/portfolio/events/orders/{}"): 2,
    ("DELETE", "/portfolio/events/orders/batched"): 2,
    ("GET", "/portfolio/balance"): 1,
}
PREFIX = "/trade-api/v2"

Pattern = tuple[str, ...]


class Costs:
    """The table of costs, the same for all accounts: as known, and then as the exchange says."""

    def __init__(self) -> None:
        self._default = DEFAULT_COST
        self._costs = _by_length(KNOWN_COSTS)

    def of(self, method: str, path: str) -> int:
        """Tokens that one call of this operation costs."""
        asked = _segments(path)
        for known, cost in self._costs.get((method.upper(), len(asked)), ()):
            if all(k in ("{}", a) for k, a in zip(known, asked, strict=True)):
                return cost
        return self._default

    def learn(self, costs: EndpointCosts) -> None:
        """Take over what the exchange says; what it leaves out stays as it was known."""
        self._default = costs.default_cost or self._default
        told = {
            (row.method.upper(), row.path.removeprefix(PREFIX)): row.cost
            for row in costs.endpoint_costs or ()
            if row.cost >= 0
        }
        # The balance is paid from its own bucket, whatever the list says of it.
        own = {("GET", "/portfolio/balance"): 1}
        self._costs = _by_length({**KNOWN_COSTS, **told, **own})


def _by_length(
    costs: dict[tuple[str, str], int],
) -> dict[tuple[str, int], list[tuple[Pattern, int]]]:
    """Costs by method and number of path segments, exact paths before patterns."""
    table: dict[tuple[str, int], dict[Pattern, int]] = {}
    for (method, path), cost in costs.items():
        pattern = _segments(path)
        table.setdefault((method, len(pattern)), {})[pattern] = cost
    return {
        key: sorted(patterns.items(), key=lambda known: known[0].count("{}"))
        for key, patterns in table.items()
    }


def _segments(path: str) -> Pattern:
    """A path's parts; `:order_id` and `{order_id}` alike become `{}`."""
    parts = path.removeprefix(PREFIX).strip("/").split("/")
    return tuple("{}" if part[:1] in (":", "{", "*") else part for part in parts)
