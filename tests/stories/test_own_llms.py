"""The demo's acts on LLMs of the test's own, which know what they know: who joins by its merits is used, what is unknown is learned."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import yaml

from local import acts, build_results, demo, steps
from local.plan import SMALL
from local.stack import stack
from local.stage import Stage
from local.story import Story
from local.traffic import read
from pipelines import dataset, query_pool, tables
from pipelines.project import Project
from tests.mlflow_server import template
from tests.pipelines import real_project
from tests.pipelines.endpoint import Endpoint, running
from tests.pipelines.trained_home import KINDS, write_encoder, write_params
from tests.scorer.world import world

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

UNKNOWN = "biomedicine"
SKILLS = {"steady": (0.5, 0.6, 0.6, 0.6), "weak": (0.2, 0.4, 0.3, 0.2), "specialist": (1.0, 0.1, 0.1, 0.1)}  # by KINDS
Places = Mapping[str, Endpoint]
Row = dict[str, Any]


def queries(seed: int) -> list[Row]:
    """Rows of the QUERIES table; what is right has nothing to do with the text, so that only who answers matters."""
    fixed = dict.fromkeys(tables.QUERIES.names, "x") | {"choices": [], "grader": "number", "language": "en", "source": "a package"}
    made = world(600, seed=seed)
    texts = dict(zip(made.texts, (KINDS[kind] for kind in made.kinds_Q), strict=True))
    return [
        fixed | {"query_id": f"q-{seed}-{at:03}", "text": text, "domain": domain, "dataset": domain, "reference": str(1000 + at)}
        for at, (text, domain) in enumerate(texts.items())
    ]


def answer(llm: str, query: Row, skills: Mapping[str, tuple[float, ...]] = SKILLS) -> str:
    """What `llm` says to a query."""
    dice = np.random.default_rng([*llm.encode(), int(query["reference"])])
    return str(query["reference"]) if dice.random() < skills[llm][KINDS.index(query["domain"])] else "7"


def entry(llm: str, place: Endpoint) -> Row:
    """The pool entry of the LLM at `place`."""
    endpoint = {"base_url": place.url, "served_name": llm, "api_key_env": None}
    return {"name": llm, "endpoint": endpoint, "price": {"input": 0.01, "output": 0.02}, "decoding": {"max_tokens": 16}}


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """An endpoint for each LLM; it knows the queries of the project, and new ones."""
    with ExitStack() as opened:
        endpoints = {llm: opened.enter_context(running()) for llm in SKILLS}
        for llm, place in endpoints.items():
            place.knows.update({query["text"]: answer(llm, query) for seed in (0, 1) for query in queries(seed)})
        yield endpoints


@pytest.fixture(scope="module")
def stage(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project of two LLMs, without the unknown domain: pipeline run, first scorer promoted, everything up."""
    home = real_project.make(tmp_path_factory.mktemp("own") / "project")
    write_params(home, encoder=str(write_encoder(tmp_path_factory.mktemp("encoder"))))
    (home / "registry" / "pool.yaml").write_text(yaml.safe_dump({"llms": {llm: entry(llm, places[llm]) for llm in ("steady", "weak")}}))
    project, rows = Project(home), queries(0)
    known = [row for row in rows if row["domain"] != UNKNOWN]
    query_pool.write(known, project.queries)
    query_pool.write_pin(project, known)
    (project.var / "mlflow").mkdir(parents=True)
    shutil.copy(template(), project.var / "mlflow" / "mlflow.db")
    operator = {"ROUTEMOA_ADMIN_HOSTS": urlsplit(places["specialist"].url).netloc}
    with stack(home, demo.PREFERENCES | operator, own_registry=True) as platform:
        made = Stage(Story(), platform, replace(SMALL, unusual=(UNKNOWN,)))
        hold_back(made, [row for row in rows if row["domain"] == UNKNOWN])
        platform.start_registry()
        steps.run(home, "pipelines.retrain")
        acts.serve(made)
        yield made


def hold_back(stage: Stage, rows: list[Row]) -> None:
    """Queries that the demo sends later, with each LLM's recorded answers to them."""
    folder, fixed = stage.held_back.folder, {**dict.fromkeys(tables.ANSWERS.names), "sample": 0, "finish_reason": "stop", "asked_with": "x"}
    query_pool.write(rows, folder / "queries.parquet")
    for llm in SKILLS:
        answers = [fixed | {"query_id": row["query_id"], "llm": llm, "text": answer(llm, row)} for row in rows]
        tables.write(folder / "answers" / f"{llm}.parquet", pd.DataFrame(answers), tables.ANSWERS)


def asked(stage: Stage, domain: str) -> list[str]:
    """The LLMs that answer eight new queries of `domain`."""
    new = [query for query in queries(1) if query["domain"] == domain][:8]
    answers = [stage.visitor.ask(query, virtual_model="routemoa-single", max_tokens=16) for query in new]
    return [each["routemoa"]["llm"] for each in answers if each]


def test_a_specialist_joins_passes_its_gate_and_is_used(stage: Stage, places: Places) -> None:
    """One request registers it; it alone is asked, its gate passes by its merits, and once promoted it answers in its domain only."""
    assert asked(stage, "mathematics") == ["steady"] * 8
    before = {llm: place.asked.total() for llm, place in places.items()}
    registered = stage.visitor.request("POST", "/admin/llms", {"id": "specialist", **entry("specialist", places["specialist"])})
    with stage.act("join", "It joins") as act:
        assert "gate passed: better in mathematics" in steps.follow(stage, registered["job"]["id"])
        assert {llm for llm, place in places.items() if place.asked.total() > before[llm]} == {"specialist"}
        act.facts["version"] = version = steps.promoted(stage, act, reason="a test")
    assert act.lines[0] == f"version {version} promoted (gate passed)"
    assert asked(stage, "mathematics").count("specialist") >= 7
    assert "specialist" not in asked(stage, "reading")


def test_an_unknown_domain_is_found_harvested_and_learned(stage: Stage) -> None:
    """The verdict starts a job by itself; every LLM is asked what was audited; the next version knows the domain, and is in use."""
    acts.unusual_traffic(stage)
    assert "retrain" in stage.story.acts["unusual"].means
    acts.lesson(stage)
    data = dataset.load(Project(stage.home).dataset)
    harvested = data.queries[data.queries["dataset"] == "harvested"]
    learned = harvested[harvested["domain"] == UNKNOWN]
    assert len(learned) >= stage.plan.audited  # and others of their groups, by consensus
    assert len(harvested) - len(learned) <= 3  # a usual query may look as strange as they do
    assert np.isfinite(data.labels_QL[learned.index]).any(axis=1).all()
    lesson = stage.story.acts["lesson"]
    assert f"Retrained with {len(harvested)} of these queries, {stage.plan.audited} of them audited; on others" in lesson.means
    assert f"15 new queries, {stage.plan.again} of them of these domains: the monitor says" in lesson.means
    assert "retrain" not in lesson.means
    assert len(read(stage.served_file("again"))) == stage.plan.again + stage.plan.among
    assert build_results.version(stage.home) != stage.story.acts["join"].facts["version"]
    assert stage.visitor.request("GET", "/admin/scorer")["version"] == build_results.version(stage.home)
