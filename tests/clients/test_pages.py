"""The scripts of the documentation run as they stand there, but for the port."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from . import environment
from .client import Side

PAGE = environment.ROOT / "docs/clients/kalshi-clients.md"
SCRIPTS = dict(
    re.findall(
        r"^## ([^\n]+)\n[^#]*?```python\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
)
WRITTEN = "http://127.0.0.1:8000/trade-api/v2"


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("title", "ends_with"),
    [
        pytest.param(
            "The official SDK",
            "taken back: 1.00\n",
            marks=environment.needed("kalshi_python_async"),
        ),
        pytest.param("CCXT", "canceled\n", marks=environment.needed("ccxt")),
        ("A client of your own", "}]\n"),
    ],
)
async def test_scripts(title: str, ends_with: str, at_gateway: Side, tmp_path: Path) -> None:
    """Each says what it is to say, with a virtual key as `key create --json` tells it."""
    key = {"id": at_gateway.key_id, "private_key": at_gateway.private_key}
    (tmp_path / "virtual-key.json").write_text(json.dumps(key))
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[title].replace(WRITTEN, at_gateway.host))
    # What the third needs, the tests have.
    python = sys.executable if "httpx" in SCRIPTS[title] else environment.interpreter()

    process = await asyncio.create_subprocess_exec(
        str(python), "-I", str(script), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()

    assert process.returncode == 0
    assert said.decode().startswith("balance: ")
    assert said.decode().endswith(ends_with)
    assert at_gateway.host in script.read_text()
