"""An exchange that knows what a test tells it, and remembers what it was asked."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx

PREFIX = "/trade-api/v2"

Answer = dict[str, Any] | httpx.Response
Handler = Callable[[Mapping[str, str]], Answer]

NOT_FOUND = {"error": {"code": "not_found", "message": "not found"}}


class Upstream:
    """Answers by path; what it was not told of is not found."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Handler] = {}
        self.asked: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.down = False
        #: Cleared, it holds every answer back.
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(PREFIX)
        query = dict(request.url.params)
        self.asked.append(path)
        self.queries.append(query)
        self.was_asked.set()
        await self.may_answer.wait()
        if self.down:
            return httpx.Response(503)
        answer = self.answers.get(path)
        if callable(answer):
            answer = answer(query)
        if answer is None:
            return httpx.Response(404, json=NOT_FOUND)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def times_asked(self, path: str) -> int:
        return self.asked.count(path)
