"""Feedback, decisions, jobs and the pool over HTTP."""

import json
from dataclasses import asdict

from world import World, entry

from monitoring import looks
from monitoring.records.store import RecordStore
from registry.asking_cost import AskingCost
from registry.jobs import Jobs

ASK = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}


def test_feedback_becomes_the_decisions_outcome(client, shared: World) -> None:
    """A reported score is read back with the decision; the last report counts; unknown ids are 404, other scores 400."""
    decision = client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"]
    for score in (0.0, 1.0):
        assert client.post("/v1/feedback", json={"decision_id": decision, "score": score}).status_code == 200
    told = client.get(f"/v1/decisions/{decision}").json()
    assert (told["outcome"]["score"], told["outcome"]["source"]) == (1.0, "user")
    assert told["scores"].keys() == set(shared.roster)
    assert client.get(f"/v1/decisions/chatcmpl-{decision}").json() == told
    assert client.post("/v1/feedback", json={"decision_id": "nobody", "score": 1}).json()["error"]["code"] == "decision_not_found"
    for wrong in (1.5, -1, "good", None):
        assert client.post("/v1/feedback", json={"decision_id": decision, "score": wrong}).status_code == 400
    assert client.get("/v1/decisions/nobody").status_code == 404


def test_feedback_brings_the_right_answer(client) -> None:
    """A reference is kept with the outcome and read back; one that its grader could not use is 400, names the field, and keeps nothing."""
    decision = client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"]
    report = {"decision_id": decision, "score": 0.0, "source": "audit", "reference": "3", "grader": "number"}
    kept = {"grader": "number", "text": "3", "choices": []}
    answered = client.post("/v1/feedback", json=report)
    assert (answered.status_code, answered.json()["reference"]) == (200, kept)
    wrong = [
        ({"grader": "choice"}, "choices"),
        ({"grader": "choice", "reference": "C", "choices": ["2", "3"]}, "reference"),
        ({"grader": "nomber"}, "grader"),
        ({"grader": None}, "grader"),
        ({"reference": None}, "reference"),
        ({"reference": "many"}, "reference"),
        ({"reference": "3", "choices": ["2", "3"]}, "choices"),
        ({"referense": "3"}, "referense"),
    ]
    for change, field in wrong:
        refused = client.post("/v1/feedback", json={**report, "score": 1.0, **change})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, field), refused.text
    assert client.get(f"/v1/decisions/{decision}").json()["outcome"]["reference"] == kept
    assert client.post("/v1/feedback", json={**report, "grader": "choice", "reference": "b", "choices": ["2", "3"]}).status_code == 200


def test_an_llm_joins_over_http(client, shared: World) -> None:
    """POST /admin/llms probes it, writes it into pool.yaml, starts a retrain job, and it can be called at once."""
    added = {"id": "newcomer", **entry(shared.base_url, "echo", prompt={"system": "Be brief.", "suffix": ""})}
    del added["name"]
    response = client.post("/admin/llms", json=added)
    assert response.status_code == 202, response.text
    job = response.json()["job"]
    assert (job["kind"], job["state"]) == ("retrain", "queued")
    assert job["arguments"] == {"reason": "newcomer joined", "llm": "newcomer"}  # it harvests nothing: nobody else is asked
    assert (response.json()["llm"]["name"], response.json()["asking"]) == ("newcomer", None)  # there are no queries in this project
    assert client.get(f"/admin/jobs/{job['id']}").json() == job
    assert job["id"] in {each["id"] for each in client.get("/admin/jobs").json()["jobs"]}
    assert "newcomer:" in (shared.home / "registry" / "pool.yaml").read_text()
    assert (response.json()["llm"]["trained"], response.json()["llm"]["max_training_queries"]) == ("row", 400)
    assert client.post("/v1/chat/completions", json={**ASK, "model": "newcomer"}).status_code == 200
    listed = {llm["id"]: llm for llm in client.get("/admin/llms").json()["llms"]}
    assert listed["newcomer"]["in_roster"] is False
    assert listed["retired-one"]["uncallable"] == "retired"
    assert client.post("/admin/llms", json=added).json()["error"]["code"] == "llm_refused"


def test_adding_an_llm_says_what_asking_it_will_cost(client, shared: World, monkeypatch) -> None:
    """The reply has the figures that `routemoa add-llm` prints; the job in it can be cancelled."""
    cost = AskingCost(
        400, of=2111, input_tokens=52_000, output_tokens=91_000, usd=0.03, most_usd=0.1, judging_usd=0, llms=5, stops_at_usd=5
    )
    monkeypatch.setattr("registry.asking_cost.told", lambda home, llm: cost if (home, llm) == (shared.home, "priced") else None)
    added = {"id": "priced", **entry(shared.base_url, "echo", prompt={"system": "Be dear.", "suffix": ""})}
    assert client.post("/admin/llms", json=added).json()["asking"] == asdict(cost)


def test_the_shape_of_an_entry_is_told_at_once(client) -> None:
    """Whoever guesses reads everything that is missing, and an entry that would do; one that only has a wrong value reads that."""
    message = client.post("/admin/llms", json={"id": "new", "base_url": "http://127.0.0.1:9/v1"}).json()["error"]["message"]
    for part in ("new.endpoint is missing", "new.price is missing", "new.base_url is not a known key"):
        assert part in message
    assert '{"id": "mine", "endpoint": {"base_url": ' in message
    assert "name is missing" not in message


def test_an_llm_that_may_not_join_changes_nothing(client, shared: World) -> None:
    """A malformed entry, or an LLM that does not answer its probe, is refused with the reason; pool and jobs stay as they were."""
    pool = (shared.home / "registry" / "pool.yaml").read_text()
    jobs = client.get("/admin/jobs").json()
    for changed, says in [
        ({"id": "Bad.Id"}, "slug"),
        ({"price": {"input": -1, "output": 0}}, "price.input"),
        ({"prize": 1}, "did you mean"),
        ({"endpoint": {"base_url": "http://127.0.0.1:9/v1", "served_name": "x", "api_key_env": None}}, "ROUTEMOA_ADMIN_HOSTS"),
        ({"endpoint": {"base_url": "http://127.0.0.1:99999/v1", "served_name": "x", "api_key_env": None}}, "base_url"),
        ({"endpoint": {"base_url": shared.base_url, "served_name": "down", "api_key_env": None}}, "probe"),
        ({"endpoint": {"base_url": shared.base_url, "served_name": "x", "api_key_env": "NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE"),
    ]:
        response = client.post("/admin/llms", json={"id": "other", **entry(shared.base_url, "slow", prompt={"system": "x"}), **changed})
        assert response.status_code == 400, response.text
        assert says in response.json()["error"]["message"]
    assert (shared.home / "registry" / "pool.yaml").read_text() == pool
    assert client.get("/admin/jobs").json() == jobs


def test_promotion_rollback_and_retraining_are_jobs(client) -> None:
    """The server starts them; the worker process, which has the MLflow client, does them."""
    promoted = client.post("/admin/scorer/promote", json={"version": "2", "override": "known good"})
    assert promoted.status_code == 202
    assert (promoted.json()["kind"], promoted.json()["arguments"]) == ("promote", {"version": "2", "override": "known good"})
    assert client.post("/admin/scorer/rollback").json()["kind"] == "rollback"
    assert client.post("/admin/jobs", json={"kind": "retrain", "reason": "fresh answers"}).json()["arguments"] == {
        "reason": "fresh answers",
        "harvest": False,
    }
    assert client.post("/admin/jobs", json={"kind": "retrain", "harvest": True}).json()["arguments"]["harvest"] is True
    assert client.post("/admin/jobs", json={"kind": "retrain", "full": True}).json()["kind"] == "retrain"
    assert {llm["trained"] for llm in client.get("/admin/llms").json()["llms"]} == {"jointly"}
    assert client.post("/admin/scorer/promote", json={"version": "latest"}).json()["error"]["param"] == "version"
    assert client.get("/admin/jobs/nobody").json()["error"]["code"] == "job_not_found"


def test_a_job_is_cancelled_over_http(client, shared: World) -> None:
    """DELETE ends one that waits, twice as once; one that ended is a conflict, one that is none is not found."""
    job = client.post("/admin/jobs", json={"kind": "retrain"}).json()
    cancelled = client.delete(f"/admin/jobs/{job['id']}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["log"].endswith(f"var/logs/jobs/{job['id']}.log")
    assert client.delete(f"/admin/jobs/{job['id']}").json() == cancelled.json() == client.get(f"/admin/jobs/{job['id']}").json()
    jobs = Jobs.in_file(shared.home / "var" / "jobs.db")
    jobs.claim(jobs.submit("retrain", {}, key="done").id)
    done = jobs.submit("retrain", {}, key="done")
    jobs.finish(done.id, "version 2 registered")
    refused = client.delete(f"/admin/jobs/{done.id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_ended")
    assert client.delete("/admin/jobs/nobody").json()["error"]["code"] == "job_not_found"


def test_the_monitors_last_word_is_told(client, shared: World) -> None:
    """/admin/verdict is what monitoring wrote last; before that there is none."""
    assert client.get("/admin/verdict").json() == {"verdict": None, "report": None}
    reports = shared.home / "var" / "reports"
    reports.mkdir()
    said = {"verdict": {"kind": "keep", "reasons": ["nothing changed"]}, "report": {"html": "/srv/var/reports/1.html", "run": "1"}}
    (reports / "latest.json").write_text(json.dumps(said))
    assert client.get("/admin/verdict").json() == said
    assert client.get("/admin/verdicts").json() == {"verdicts": []}
    stats = {"scorer_version": "1"}
    for number in (1, 2):
        verdict = {"id": f"v{number}", "kind": "watch", "reasons": ["law is new"], "stats": stats}
        looks.keep(shared.settings(), {"at": f"2026-11-01T00:00:0{number}+00:00", "verdict": verdict, "job": None})
    (last,) = client.get("/admin/verdicts", params={"limit": 1}).json()["verdicts"]
    assert (last["verdict"], last["kind"], last["reasons"], last["scorer_version"]) == ("v2", "watch", ["law is new"], "1")


def test_metrics_count_what_happened(client) -> None:
    """/metrics has requests by route template, answers by LLM, cost and the active version; no label is a caller's text."""
    client.post("/v1/chat/completions", json={**ASK, "model": "echo"})
    client.post("/v1/chat/completions", json={**ASK, "model": "a caller's text"})
    client.get("/v1/decisions/a-callers-text")
    text = client.get("/metrics").text
    assert 'routemoa_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in text
    assert 'route="/v1/decisions/{decision_id}",status="404"' in text
    assert 'routemoa_answers_total{llm="echo",virtual_model="echo"}' in text
    assert "# HELP routemoa_answers_total Served answers by whose they are\n" in text
    assert 'routemoa_cost_usd_total{llm="echo"}' in text
    assert 'routemoa_scorer_version{version="1"} 1.0' in text
    assert 'routemoa_errors_total{code="model_not_found"}' in text
    assert "caller" not in text


def test_records_of_failures_are_kept_too(client, shared: World) -> None:
    """A request that got no answer leaves a record that says so."""
    response = client.post("/v1/chat/completions", json={**ASK, "routemoa": {"budget_usd": 0.0}})
    assert response.json()["error"]["code"] == "budget_exceeded"
    kept = {record.id: record for record in RecordStore(shared.home / "var" / "records.db").scan(0, 2**40)}
    assert kept[response.headers["x-routemoa-decision"]].status == "error"
