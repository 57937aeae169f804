"""The house keeps its shape: who may import whom, and what is written down twice agrees."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from kalshi_gateway import settings

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "kalshi_gateway"

#: HTTP handlers, wherever they live.
ROUTERS = ("router", "*.router", "*_router", "health", "documents")

#: These import nothing of ours but what is named.
IMPORTS_ONLY = {
    "kalshi": ["kalshi"],  # the exchange as it speaks knows nothing of the rest of us
    "simulator": ["simulator"],  # an exchange of its own
    "embedded": ["embedded"],
    "tables": [],
    "units": [],
    "errors": [],
    "settings": [],
    "background": [],
    "logs": [],
    "metrics": [],
    "cursors": ["errors"],
    "db": ["errors"],
    "migrate": ["db"],
    "*.repository": ["{room}", "cursors", "db", "errors", "tables", "units"],
}

#: These are imported by nobody but those named.
IMPORTED_ONLY_BY = {
    "app": ["commands", "__main__"],
    "commands": ["commands", "__main__"],
    "simulator": ["simulator", "commands"],
    "embedded": ["embedded", "commands"],
    # What handlers ask for is put together by the application, and asked for by nobody else.
    "dependencies": [*ROUTERS, "app", "commands"],
    # Errors are raised in the rooms and rendered in the shell.
    "problems": [*ROUTERS, "app", "limits", "requests", "protocol", "hot"],
    "requests": ["app", "front", "hot"],
    "front": ["app"],
    "protocol": ["commands"],
    "tables": ["*.repository", "*.storing"],
    **{router: ["app"] for router in ROUTERS},
    "documents": ["app", "commands"],  # `openapi` prints the description
}

#: What stands outside the rooms: it knows them all, and none of them knows it.
OUTSIDE = (*ROUTERS, "app", "commands", "dependencies", "__main__")


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours by its dotted name within the package."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): (
            ast.parse(path.read_text(encoding="utf-8"))
        )
        for path in SOURCE.rglob("*.py")
    }


@cache
def imports(name: str, *, when_run: bool = False) -> frozenset[str]:
    """The modules of ours that a module imports, wherever in it; or only those it runs."""
    path = SOURCE.joinpath(*name.split("."))
    package = name.split(".") if path.is_dir() else name.split(".")[:-1]
    return frozenset(
        found
        for node in _nodes(modules()[name], when_run=when_run)
        for found in _imported(node, package)
        if found and found != name
    )


def _nodes(node: ast.AST, *, when_run: bool) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not (when_run and for_types):
            yield from _nodes(child, when_run=when_run)


def _imported(node: ast.AST, package: list[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.startswith("kalshi_gateway."):
                yield _module(alias.name.split(".")[1:])
    elif isinstance(node, ast.ImportFrom):
        parts = (node.module or "").split(".") if node.module else []
        if node.level:
            parts = package[: len(package) - node.level + 1] + parts
        elif parts[:1] == ["kalshi_gateway"]:
            parts = parts[1:]
        else:
            return
        for alias in node.names:
            yield _module([*parts, alias.name])


def _module(parts: list[str]) -> str:
    """The module that such a name lives in; empty for what the package itself defines."""
    while parts and ".".join(parts) not in modules():
        parts = parts[:-1]
    return ".".join(parts)


def fits(name: str, patterns: tuple[str, ...] | list[str]) -> bool:
    """Whether a module is one of those named, or lies in a room that is named."""
    return any(fnmatchcase(name, pattern) or name.startswith(f"{pattern}.") for pattern in patterns)


def test_what_is_read_here() -> None:
    """These tests see the modules and their imports."""
    assert {"app", "kalshi.client", "markets.router", "tokens.repository"} <= set(modules())
    assert {"auth", "health", "requests"} <= imports("app")
    assert "tokens.token" in imports("tokens.repository")
    assert "db" in imports("tokens.repository")


@pytest.mark.parametrize("pattern", IMPORTS_ONLY)
def test_arrows_out(pattern: str) -> None:
    """No arrow leads from a module to one that it must not know."""
    wrong = [
        f"{name} imports {other}"
        for name in modules()
        if fits(name, [pattern])
        for other in imports(name)
        if not fits(other, [a.format(room=name.split(".")[0]) for a in IMPORTS_ONLY[pattern]])
    ]

    assert wrong == []


@pytest.mark.parametrize("pattern", IMPORTED_ONLY_BY)
def test_arrows_in(pattern: str) -> None:
    """No arrow leads to a module from one that must not know it."""
    wrong = [
        f"{name} imports {other}"
        for name in modules()
        for other in imports(name)
        if fits(other, [pattern]) and not fits(name, IMPORTED_ONLY_BY[pattern])
    ]

    assert wrong == []


def test_no_circles_between_modules() -> None:
    """Read from any module along its imports, nobody comes back to it."""
    assert circle({name: set(imports(name, when_run=True)) for name in modules()}) == []


def test_no_circles_between_rooms() -> None:
    """Rooms that need each other share a noun that lies further down, not a door."""
    rooms: dict[str, set[str]] = {}
    for name in modules():
        if fits(name, OUTSIDE):
            continue
        room = name.split(".")[0]
        rooms.setdefault(room, set()).update(other.split(".")[0] for other in imports(name))
        rooms[room].discard(room)

    assert circle(rooms) == []


def test_a_circle_is_found() -> None:
    """The two tests above can fail."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "a"]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some way that leads back to where it began; empty if there is none."""
    done: set[str] = set()

    def walk(way: list[str]) -> list[str]:
        for other in sorted(graph.get(way[-1], ())):
            if other in way:
                return [*way[way.index(other) :], other]
            if other not in done and (found := walk([*way, other])):
                return found
        done.add(way[-1])
        return []

    for name in sorted(graph):
        if name not in done and (found := walk([name])):
            return found
    return []


def test_every_module_says_what_it_is_about() -> None:
    """A module opens with one line that says what it is about."""
    silent = [
        name
        for name, tree in modules().items()
        if tree.body and not (ast.get_docstring(tree) or "").partition("\n")[0]
    ]

    assert silent == []


def test_example_of_the_environment() -> None:
    """`.env.example` lists exactly the settings there are, with their meanings and defaults.

    After a change of the settings write it anew:
    `python -c "from kalshi_gateway import settings; print(settings.example(), end='')"`.
    """
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == settings.example()
