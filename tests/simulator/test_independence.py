"""The simulator is a product of its own."""

import ast
from pathlib import Path

from kalshi_gateway import simulator


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


def test_it_imports_nothing_of_the_gateway() -> None:
    """Only itself and libraries: what it says about the exchange owes nothing to the client."""
    home = Path(simulator.__file__).parent

    found = {name for path in home.rglob("*.py") for name in imported(path)}

    ours = {name for name in found if name.split(".")[0] == "kalshi_gateway"}
    assert ours
    assert all(f"{name}.".startswith("kalshi_gateway.simulator.") for name in ours)
