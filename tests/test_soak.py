"""The soak test sees what goes wrong, and does not pass because nobody looked."""

import asyncio
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace

import httpx
import pytest

NAMES = {"ticker": ["KXCALM-26-A"], "event": ["KXCALM-26"], "word": ["calm"]}


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, asking for one list without pausing."""
    path = Path(__file__).parents[1] / "benchmarks/soak.py"
    spec = importlib.util.spec_from_file_location("soak", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "soak", module)  # where its dataclasses look for names
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PER_SECOND", 1_000_000)
    monkeypatch.setattr(module, "DEAR_SHARE", 0)
    monkeypatch.setattr(module, "QUESTIONS", [("list", "/kalshi/markets", {})])
    return module


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[]", "{}", '{"meta":null}', '{"meta":{}}', '{"meta":{"age_seconds":"1"}}'],
)
async def test_an_answer_that_is_none_is_wrong(soak: ModuleType, body: str) -> None:
    """Each time, and the client who was given it goes on asking."""
    asked = asyncio.Semaphore(0)

    def answer(_: httpx.Request) -> httpx.Response:
        asked.release()
        return httpx.Response(200, text=body, headers={"X-Cache": "HIT"})

    record = soak.Record()
    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://gateway", transport=transport) as client:
        asking = asyncio.create_task(soak.asking(client, NAMES, 1, record))
        async with asyncio.timeout(30):
            for _ in range(3):
                await asked.acquire()
        told = await soak.stopped([asking])

    assert told == []
    assert len(record.wrong) >= 2
    assert all("/kalshi/markets" in text for text in record.wrong)


async def test_who_ends_before_he_is_told_to_is_named(soak: ModuleType) -> None:
    """Be it a client or whoever breaks things; whoever is stopped in his work is not."""

    async def dies() -> None:
        raise KeyError("postmaster.pid")

    async def works() -> None:
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(dies(), name="outages"), asyncio.create_task(works())]
    await asyncio.sleep(0)

    assert await soak.stopped(tasks) == ["outages ended: KeyError('postmaster.pid')"]


def test_what_was_wrong_is_the_exit_code(
    soak: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 for anything, and for a soak in which nobody asked anything."""
    process = SimpleNamespace(starts=1)
    world = SimpleNamespace(exchange=process, gateway=process)
    sizes = [("quarter", 1.0, 1), ("end", 1.0, 1)]
    good, bad, nobody = soak.Record(), soak.Record(), soak.Record()
    good.statuses[200] = bad.statuses[200] = 1
    bad.wrong.append("outages ended")

    codes = [soak.report(record, Counter(), sizes, 0.0, world) for record in (good, bad, nobody)]

    assert codes == [0, 1, 1]
    assert "1 x outages ended" in capsys.readouterr().out
