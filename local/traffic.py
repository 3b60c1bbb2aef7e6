"""Queries sent to the running server as its users would, their answers graded and reported back."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.progress import Progress

from local.errors import StepFailed
from monitoring.records import reference
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query

GRADING_S = 10.0  # CPU time of a unit-test run
USERS = 2  # requests in flight: the local LLMs have two slots each
ANSWER_S = 300.0  # a request is given up after it
LATE = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Served:
    """One served answer: which decision it was, who answered, its grade (None where it could not be graded) and cost.

    late: no answer came in time; a row like any other, and nothing more is known of it.
    """

    query_id: str
    decision: str
    llm: str | None
    score: float | None
    cost_usd: float
    late: bool = False


@dataclass(frozen=True)
class Visitor:
    """Talks to the server at `url` with `api_key`; patience: how many times longer than usual an answer may take."""

    url: str
    api_key: str
    patience: float = 1.0

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One JSON request. Raises StepFailed on any answer but 2xx."""
        return _taken(self._send(method, path, body))

    def ask(self, query: dict[str, Any], *, virtual_model: str, max_tokens: int) -> dict[str, Any] | None:
        """The server's whole response to one query of the pool's table; None where no answer came in time."""
        body = {
            "model": virtual_model,
            "messages": [{"role": "user", "content": query["text"]}],
            "max_tokens": max_tokens,
            "routemoa": {"domain": query["domain"]},
        }
        try:
            answer = self._send("POST", "/v1/chat/completions", body)
        except httpx2.TimeoutException:
            return None
        return None if answer.status_code in LATE else _taken(answer)

    def report(self, query: dict[str, Any], response: dict[str, Any] | None, *, audit: bool = False) -> Served:
        """Grades a response and reports its outcome, as an audit with the right answer beside it.

        Call it in the main thread (graders keep time by signals).
        """
        if response is None:
            return Served(query["query_id"], "", None, None, 0.0, late=True)
        decision = response["routemoa"]
        answer = response["choices"][0]["message"]["content"] or ""
        graded = kinds.grade(Task(Query.of(query), answer, GRADING_S))
        if graded.score is not None:
            outcome = {"decision_id": decision["decision_id"], "score": graded.score}
            self.request("POST", "/v1/feedback", outcome | (truth(query) if audit else {}))
        return Served(query["query_id"], decision["decision_id"], decision["llm"], graded.score, decision["cost_usd"])

    def ask_all(
        self,
        queries: Sequence[dict[str, Any]],
        *,
        virtual_model: str,
        max_tokens: int,
        title: str,
        audited: int = 0,
        kept: Path | None = None,
    ) -> list[Served]:
        """Asks `queries`, a few at a time, with a progress bar; the first `audited` of them are reported as audits.

        kept: a file of what was served so far: a query in it is not asked again.
        """
        before = {served.query_id: served for served in read(kept)} if kept else {}
        audits = {query["query_id"] for query in queries[:audited]}
        todo = [query for query in queries if query["query_id"] not in before]
        with Progress() as progress, ThreadPoolExecutor(USERS) as users:
            task = progress.add_task(title, total=len(queries), completed=len(queries) - len(todo))
            responses = users.map(lambda query: self.ask(query, virtual_model=virtual_model, max_tokens=max_tokens), todo)
            for query, response in zip(todo, responses, strict=True):
                before[query["query_id"]] = served = self.report(query, response, audit=query["query_id"] in audits)
                if kept:
                    append(kept, served)
                progress.advance(task)
        return [before[query["query_id"]] for query in queries]

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        with httpx2.Client(trust_env=False, timeout=ANSWER_S * self.patience, headers=headers) as client:
            return client.request(method, self.url + path, json=body)


def _taken(answer: httpx2.Response) -> dict[str, Any]:
    """The JSON of an answer. Raises StepFailed on any but 2xx."""
    if answer.status_code >= 300:
        asked = answer.request
        raise StepFailed(f"{asked.method} {asked.url.path} answered {answer.status_code}: {answer.text[:300]}")
    return dict(answer.json())


def truth(query: dict[str, Any]) -> dict[str, Any]:
    """What an audit reports beside the score: the right answer and what reads it, where a reference alone is enough to grade by."""
    if query["grader"] not in reference.GRADERS:
        return {"source": "audit"}
    choices = {"choices": list(query["choices"])} if len(query["choices"]) else {}
    return {"source": "audit", "reference": query["reference"], "grader": query["grader"], **choices}


def read(kept: Path) -> list[Served]:
    """What a file of `append` holds."""
    return [Served(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()] if kept.exists() else []


def append(kept: Path, served: Served) -> None:
    """Adds a line to a file of what was served."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(served)) + "\n")
