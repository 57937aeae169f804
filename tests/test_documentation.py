"""What README, CHANGELOG and docs say is so."""

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
import typer
from typer.core import TyperGroup

import kalshi_gateway
from kalshi_gateway import documents, upstream
from kalshi_gateway.accounts.ages import AccountAges
from kalshi_gateway.app import create_app
from kalshi_gateway.commands.cli import cli
from kalshi_gateway.errors import GatewayError
from kalshi_gateway.freshness import Meta
from kalshi_gateway.markets.market import Market
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import SECRETS, Settings
from kalshi_gateway.simulator.__main__ import options_parser

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/kalshi_gateway"
API = ROOT / "docs/api.md"
OPERATIONS = ROOT / "docs/operations.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

#: Hosts that a reader may be sent to, besides those that exist nowhere.
HOSTS = {
    "127.0.0.1",
    "localhost",
    "kalshi.com",
    "external-api.kalshi.com",
    "external-api.demo.kalshi.co",
    "docs.astral.sh",
}

#: What the variables and members of the Swift page hold.
SWIFT = {
    "found": "MarketList",
    "page": "MarketList",
    "market": "Market",
    "book": "BookDetail",
    "account": "AccountDetail",
    "position": "Position",
    "totals": "Totals",
    "meta": "Meta",
    "said": "Problem",
}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Route(NamedTuple):
    method: str
    path: str


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The OpenAPI description of the application."""
    settings = Settings.model_construct()
    return documents.description(create_app(settings, database_url="postgresql://localhost"))


@pytest.fixture(scope="module")
def command() -> TyperGroup:
    """The command line as it is put together."""
    found = typer.main.get_command(cli)
    assert isinstance(found, TyperGroup)
    return found


# --- settings


def test_every_setting_is_described() -> None:
    """The table of operations.md has each setting, no other, with its default."""
    rows = _rows(_section(OPERATIONS, "Settings"))

    described = {_ticked(row[0])[0]: row[1].strip("`") for row in rows}

    assert described == {
        name.upper(): _default(name, field.default) for name, field in Settings.model_fields.items()
    }


@every_page
def test_variables_exist(page: Path) -> None:
    """Whatever looks like one of our variables is one, or one of the compose file's."""
    ours = {name.upper() for name in Settings.model_fields}
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    named = set(re.findall(r"\b(?:GATEWAY|KALSHI|DATABASE)_[A-Z_]*[A-Z]\b", page.read_text()))

    assert named <= ours | files | compose


# --- the API


def test_every_route_is_described(described: dict[str, Any]) -> None:
    """The headings of api.md are the routes of the OpenAPI description, no more and no fewer."""
    assert {route for route, _ in _described_routes()} == set(_routes(described))


def test_every_parameter_is_described(described: dict[str, Any]) -> None:
    """Each query parameter is named in its route's section."""
    sections = dict(_described_routes())

    missing = [
        (route, parameter["name"])
        for route, operation in _routes(described).items()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and not re.search(rf"`{parameter['name']}\b", sections[route])
    ]

    assert missing == []


def test_every_member_is_described(described: dict[str, Any]) -> None:
    """Each member of each answer's schema is named in api.md."""
    text = API.read_text()

    missing = [
        (name, member)
        for name, schema in described["components"]["schemas"].items()
        for member in schema.get("properties", ())
        if not re.search(rf"\b{member}\b", text)
    ]

    assert missing == []


def test_every_problem_is_described() -> None:
    """The table of errors has each code, no other, with its status."""
    described = {
        (int(row[0]), code) for row in _rows(_section(API, "Errors")) for code in _ticked(row[1])
    }

    assert described == {(kind.status, kind.code) for kind in _problems()}


@every_page
def test_requests_go_somewhere(page: Path, described: dict[str, Any]) -> None:
    """Each path of ours that a page names is one that some route answers."""
    patterns = [re.sub(r"\{\w+\}", "[^/]+", path) for _, path in _routes(described)]
    patterns += [r"/problems/[^/]+", "/kalshi"]

    named = re.findall(r"(?<![\w.}-])/(?:kalshi|problems)(?:/[\w{}…-]+)*", page.read_text())

    assert [path for path in named if not any(re.fullmatch(p, path) for p in patterns)] == []


def test_first_answer_is_a_real_one() -> None:
    """The market that the quickstart shows has a market's members, in their order."""
    (shown,) = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs/quickstart.md").read_text(), re.DOTALL
    )

    answer = json.loads(shown)

    assert list(answer["markets"][0]) == [field.name for field in fields(Market)]
    assert list(answer["meta"]) == [field.name for field in fields(Meta)]


# --- the command line


@every_page
def test_commands_exist(page: Path, command: TyperGroup) -> None:
    """Each `./gateway …` that a page shows can be typed, with the options it shows."""
    of_script = set(re.findall(r"^  (\w+)\)$", (ROOT / "gateway").read_text(), re.MULTILINE))
    wrong = []

    for line in re.findall(r"(?:\./gateway|kalshi-gateway) +([a-z][^`#|\n]*)", page.read_text()):
        words = line.split()
        if words[0] in of_script:
            continue
        found: Any = command
        while isinstance(found, TyperGroup) and words and not words[0].startswith("-"):
            found = found.commands.get(words.pop(0))
        options = {name for p in found.params for name in p.opts} if found else set()
        if found is command.commands["simulator"]:
            options = _options_of_the_simulator()
        if found is None or not {word for word in words if word.startswith("--")} <= options:
            wrong.append(line)

    assert wrong == []


def test_every_option_of_the_simulator_is_described() -> None:
    """Each option is in the table of the simulator's own page."""
    page = (ROOT / "docs/simulator.md").read_text()

    described = re.findall(r"(?:\| |, )`(--[\w-]+)", page)

    assert set(described) == _options_of_the_simulator() - {"--help"}


def test_every_command_is_described(command: TyperGroup) -> None:
    """Each command is named in operations.md."""
    text = OPERATIONS.read_text()

    assert [name for name in command.commands if f"./gateway {name}" not in text] == []


# --- log and metrics


def test_every_log_line_is_described() -> None:
    """The table of operations.md has each event that is logged, and no other."""
    rows = _rows(_section(OPERATIONS, "Log"))

    described = {event for row in rows for event in _ticked(row[0])}

    assert described == set(_events())


def test_metrics_exist() -> None:
    """Each metric that operations.md names is counted, with the labels it names."""
    metrics = Metrics()
    upstream.kalshi(Settings.model_construct(), httpx.AsyncClient(), metrics)
    metrics.registry.register(AccountAges())
    known = {re.sub(r"_total$", "", family.name) for family in metrics.registry.collect()}

    named = re.findall(r"`(gateway_\w+)", OPERATIONS.read_text())

    assert named
    assert {re.sub(r"_total$", "", name) for name in named} <= known


def test_swift_names_exist(described: dict[str, Any]) -> None:
    """What the Swift page calls, asks with and reads is in the description it is made from."""
    page = (ROOT / "docs/clients/swift.md").read_text()
    operations = {
        f"{_pascal(operation['tags'][0])}API.{operation['operationId']}": {
            _camel(one["name"]) for one in operation.get("parameters", ())
        }
        for operation in _routes(described).values()
    }
    models = described["components"]["schemas"]
    calls = re.findall(r"(\w+API\.\w+?)(?:WithRequestBuilder)?\((.*)", page)
    read = re.findall(rf"\b({'|'.join(SWIFT)})(?=\.(\w+))", page)

    assert {name for name, _ in calls} <= operations.keys()
    for name, asked in calls:
        assert set(re.findall(r"(\w+): ", asked)) <= operations[name]
    for variable, member in read:
        assert member in {_camel(name) for name in models[SWIFT[variable]]["properties"]}
    assert {variable for variable, _ in read} == SWIFT.keys()


# --- links, files, and what is not said


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link has a target in the checkout, down to the heading it names."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        address = urlsplit(link)
        if address.scheme:
            continue
        target = (page.parent / address.path).resolve() if address.path else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (address.fragment and address.fragment not in _anchors(target)):
            broken.append(link)

    assert broken == []


@every_page
def test_files_exist(page: Path) -> None:
    """Each file and folder of ours that a page names is there."""
    named = re.findall(r"`([\w./-]+\.(?:py|lock|yml|toml|example)|[a-z]+/)`", page.read_text())
    if page.name == "architecture.md":
        named += _drawn(page.read_text())

    missing = [
        name for name in named if not any((folder / name).exists() for folder in _folders(page))
    ]

    assert missing == []


def test_every_room_is_drawn() -> None:
    """The drawing of the house leaves nothing out."""
    there = {path.name + "/" * path.is_dir() for path in SOURCE.iterdir()}

    drawn = _drawn((ROOT / "docs/architecture.md").read_text())

    assert set(drawn) == there - {"__init__.py", "__pycache__/"}


@every_page
def test_addresses_can_be_typed(page: Path) -> None:
    """Those with a query stand in quotes: to some shells `?` and `&` mean something else."""
    typed = re.findall(r"(?m)^ *curl .*$", page.read_text())

    assert [line for line in typed if re.search(r"[ =]https?://[^\s'\"]*[?&*]", line)] == []


@every_page
def test_addresses_are_known(page: Path) -> None:
    """A page sends nobody to a host that is not meant."""
    hosts = {
        urlsplit(url).hostname or ""
        for url in re.findall(r"https?://[^\s`'\")<>,]+", page.read_text())
    }

    assert {host for host in hosts if host not in HOSTS and not host.endswith(".example")} == set()


@pytest.mark.parametrize(
    "name", ["requirements.lock", "tests/clients/requirements.lock", "gateway", "pyproject.toml"]
)
def test_set_up_names_no_registry(name: str) -> None:
    """Where packages come from is for each machine to say."""
    assert "://" not in (ROOT / name).read_text()


@every_page
def test_nothing_is_left_to_be_done(page: Path) -> None:
    """A page has no marks of unfinished work, and speaks of nothing outside the checkout."""
    marks = re.findall(r"\b(?:TODO|FIXME|TBD|WIP|XXX)\b|(?<!\w)#\d+\b", page.read_text())

    assert marks == []


def test_decisions_are_in_order() -> None:
    """Decisions are numbered without holes, and each has its four parts on about a page."""
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    parts = ("**Context.**", "**Chosen", "**Not chosen.**", "**What would change our mind.**")

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]} ")
        assert len(text.splitlines()) <= 60
        if page.name != "0007-dependencies.md":
            assert [part for part in parts if part not in text] == []


def test_every_dependency_is_explained() -> None:
    """The table of 0007 has each dependency of the project, and no other."""
    text = (ROOT / "pyproject.toml").read_text()
    (listed,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    rows = _rows((ROOT / "docs/decisions/0007-dependencies.md").read_text())

    explained = {name for row in rows for name in row[0].split(", ")}

    assert explained == set(re.findall(r'^  "([\w-]+)', listed, re.MULTILINE))


def _section(page: Path, heading: str) -> str:
    """What stands under a heading of the second level."""
    (text,) = re.findall(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text(), re.DOTALL | re.MULTILINE
    )
    return str(text)


def _rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, without their heads."""
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    heads = {n - 1 for n, line in enumerate(lines) if set(line) <= set("|- ")}
    body = [line for n, line in enumerate(lines) if n not in heads and n - 1 not in heads]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in body]


def _pascal(words: str) -> str:
    """A type's name, as generators make it of a tag."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", words))


def _camel(name: str) -> str:
    """A member's name, as generators make it of one of ours or a header's."""
    words = _pascal(name)
    return words[:1].lower() + words[1:]


def _ticked(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _default(name: str, value: Any) -> str:
    """A default as the table writes it."""
    if name == "gateway_data_dir":
        return "of the system"
    if value is None or value == "":
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _routes(described: dict[str, Any]) -> dict[Route, dict[str, Any]]:
    return {
        Route(method.upper(), path): operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }


def _described_routes() -> Iterator[tuple[Route, str]]:
    """Each heading of api.md that is a route, and what stands under it."""
    pattern = r"^### `([A-Z]+) (/[^`]*)`\n(.*?)(?=^##|\Z)"
    for method, path, text in re.findall(pattern, API.read_text(), re.DOTALL | re.MULTILINE):
        yield Route(method, path), text


def _options_of_the_simulator() -> set[str]:
    """It reads its own, from either command."""
    return set(re.findall(r"--[a-z][\w-]*", options_parser().format_help()))


def _problems() -> Iterator[type[GatewayError]]:
    """Every kind of problem; each is known once its module is."""
    for module in pkgutil.walk_packages(kalshi_gateway.__path__, "kalshi_gateway."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    pending = [GatewayError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind.__module__.startswith("kalshi_gateway."):
            yield kind


def _events() -> Iterator[str]:
    """The first argument of every call that writes a log line."""
    for path in SOURCE.rglob("*.py"):
        if path.is_relative_to(SOURCE / "simulator"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            first = node.args[0]
            writes = re.fullmatch(r"write|log\.(debug|info|warning|error|exception)", called)
            if writes and isinstance(first, ast.Constant):
                yield str(first.value)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from their words."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _folders(page: Path) -> list[Path]:
    """Where a name may be meant to lie: at the top, beside the page, or in any of our rooms."""
    rooms = [path for path in SOURCE.rglob("*") if path.is_dir()]
    return [ROOT, page.parent, SOURCE, *rooms]


def _drawn(text: str) -> list[str]:
    """The names in a drawing of the tree."""
    lines = re.findall(r"^[├└]── (.*?)(?:  |$)", text, re.MULTILINE)
    return [name.strip() for line in lines for name in line.split(",")]
