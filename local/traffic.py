"""Queries sent to the running server as its users would, their answers graded and reported back."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
from rich.progress import Progress

from local.errors import StepFailed
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query

GRADING_S = 10.0  # CPU time of a unit-test run
USERS = 2  # requests in flight: the local LLMs have two slots each


@dataclass(frozen=True, slots=True)
class Served:
    """One served answer: which decision it was, who answered, its grade (None where it could not be graded) and cost."""

    decision: str
    llm: str | None
    score: float | None
    cost_usd: float


@dataclass(frozen=True)
class Visitor:
    """Talks to the server at `url` with `api_key`."""

    url: str
    api_key: str

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One JSON request. Raises StepFailed on any answer but 2xx."""
        with httpx2.Client(trust_env=False, timeout=300, headers={"Authorization": f"Bearer {self.api_key}"}) as client:
            answer = client.request(method, self.url + path, json=body)
        if answer.status_code >= 300:
            raise StepFailed(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return dict(answer.json())

    def ask(self, query: dict[str, Any], *, virtual_model: str, max_tokens: int) -> dict[str, Any]:
        """The server's whole response to one query of the pool's table."""
        body = {
            "model": virtual_model,
            "messages": [{"role": "user", "content": query["text"]}],
            "max_tokens": max_tokens,
            "routemoa": {"domain": query["domain"]},
        }
        return self.request("POST", "/v1/chat/completions", body)

    def report(self, query: dict[str, Any], response: dict[str, Any]) -> Served:
        """Grades a response and reports its outcome. Call it in the main thread (graders keep time by signals)."""
        decision = response["routemoa"]
        answer = response["choices"][0]["message"]["content"] or ""
        graded = kinds.grade(Task(Query.of(query), answer, GRADING_S))
        if graded.score is not None:
            self.request("POST", "/v1/feedback", {"decision_id": decision["decision_id"], "score": graded.score})
        return Served(decision["decision_id"], decision["llm"], graded.score, decision["cost_usd"])

    def ask_all(self, queries: Sequence[dict[str, Any]], *, virtual_model: str, max_tokens: int, title: str) -> list[Served]:
        """Asks `queries`, a few at a time, with a progress bar."""
        with Progress() as progress, ThreadPoolExecutor(USERS) as users:
            task = progress.add_task(title, total=len(queries))
            served = []
            responses = users.map(lambda query: self.ask(query, virtual_model=virtual_model, max_tokens=max_tokens), queries)
            for query, response in zip(queries, responses, strict=True):
                served.append(self.report(query, response))
                progress.advance(task)
        return served
