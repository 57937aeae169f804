"""/openapi.json and /docs, which need nothing from elsewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import documents
from kalshi_gateway.app import create_app
from kalshi_gateway.settings import Settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
CAMEL_CASE = re.compile(r"[a-z][a-zA-Z0-9]*")


class Page(HTMLParser):
    """What a page loads, and whether it brings scripts or styles of its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings, database_url=NOWHERE)


async def test_docs_are_all_here(client: httpx.AsyncClient) -> None:
    """The page loads only files of this gateway, and each is there."""
    response = await client.get("/docs")
    page = Page(response.text)

    assert response.status_code == 200
    assert len(page.loads) == 4
    for address in [*page.loads, "openapi.json"]:
        assert "//" not in address
        assert (await client.get(urljoin("/docs", address))).status_code == 200


async def test_docs_under_a_strict_policy(client: httpx.AsyncClient) -> None:
    """The page may run and load nothing but files of this gateway, and does not need to."""
    response = await client.get("/docs")

    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert Page(response.text).inline == []


async def test_vendored_files_name_their_licence(client: httpx.AsyncClient) -> None:
    """What is not ours is served with its licence beside it."""
    licence = await client.get("/static/swagger-ui/LICENSE")
    notice = await client.get("/static/swagger-ui/NOTICE")

    assert "Apache License" in licence.text
    assert "SmartBear" in notice.text


@pytest.mark.parametrize(
    "path", ["/static/", "/static/../settings.py", "/static/%2e%2e/settings.py", "/static/nothing"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    """Files that are not meant for a browser are not given to one."""
    response = await client.get(path)

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


async def test_description(client: httpx.AsyncClient, app: FastAPI) -> None:
    """The description is that of the application, in full: every reference leads somewhere."""
    response = await client.get("/openapi.json")

    described = response.json()
    assert described == documents.description(app)
    assert described["info"]["title"] == "Kalshi Gateway"
    assert described["openapi"].startswith("3.1")
    references = set(re.findall(r'"#/components/schemas/(\w+)"', response.text))
    assert references <= set(described["components"]["schemas"])


def test_operation_ids(app: FastAPI) -> None:
    """Every operation has an id of its own, spelled as generated clients spell methods."""
    operations = [
        operation
        for path in documents.description(app)["paths"].values()
        for operation in path.values()
    ]
    ids = [operation["operationId"] for operation in operations]

    assert len(set(ids)) == len(ids) > 3
    assert [name for name in ids if not CAMEL_CASE.fullmatch(name)] == []


def test_described_routes_take_a_token(app: FastAPI) -> None:
    """The description says of every route under /kalshi that it takes a token."""
    described = documents.description(app)

    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert ({"token": []} in operation.get("security", [])) is path.startswith("/kalshi")


@pytest.mark.parametrize("code", ["internal_error", "database_unavailable", "not_authenticated"])
async def test_problems_are_explained(client: httpx.AsyncClient, code: str) -> None:
    """What a problem's `type` leads to says what its code means."""
    kind = (await client.get(f"/problems/{code}")).json()

    assert (kind["code"], kind["type"]) == (code, f"/problems/{code}")
    assert kind["meaning"].endswith(".")


async def test_unknown_problem(client: httpx.AsyncClient) -> None:
    """A code that does not exist is not explained."""
    response = await client.get("/problems/nonsense")

    assert response.status_code == 404
