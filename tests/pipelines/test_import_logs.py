"""`routemoa import --from`: logs into var/imported with a pool at known prices, result files into the query pool, a sample for others."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mixture.price import Price
from pipelines import query_pool, tables
from pipelines.imports import import_command
from pipelines.logs import store
from pipelines.project import Project
from registry import pool
from registry.named_prices import named
from tests.pipelines.logs import samples

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with the pool and the parameters that we ship."""
    home = tmp_path / "project"
    (home / "registry").mkdir(parents=True)
    shutil.copy(ROOT / "registry" / "pool.yaml", home / "registry" / "pool.yaml")
    shutil.copy(ROOT / "params.yaml", home)
    monkeypatch.setenv("ROUTEMOA_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return Project(home)


def judged(project: Project, judge: str = "qwen-coder-0-5b") -> None:
    text = project.params.read_text()
    project.params.write_text(text.replace("judge: null", f"judge: {judge}"))


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What the command prints."""
    import_command.main([str(word) for word in words])
    return capsys.readouterr().out


def refused(*words: str | Path) -> str:
    """What the command ends with."""
    with pytest.raises(SystemExit) as ended:
        import_command.main([str(word) for word in words])
    return str(ended.value)


def log(folder: Path, count: int = 12, **changed: object) -> Path:
    """A LiteLLM log of one LLM, a question a call."""
    rows = [
        samples.LITELLM[0] | {"request_id": f"r{at}", "messages": [{"role": "user", "content": f"What is {at} + 1?"}], **changed}
        for at in range(count)
    ]
    path = folder / "Spend Log.jsonl"
    path.write_text(samples.lines(rows))
    return path


def test_a_log_is_kept_beside_a_pool_and_says_what_it_lacks(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls and proposal lie in var/imported under the file's name; nothing goes into data/; the next command is printed as it is typed."""
    printed = said(capsys, "--from", "litellm", log(tmp_path))
    assert len(store.read(project.imported_log("spend-log"))) == 12
    assert "12 calls of 1 LLM (gpt-4o-mini 12) in 1 sessions from 2026-10-01 to 2026-10-01 for $0.0036 as stated." in printed
    assert "This format cannot say: quality." in printed
    assert "gpt-4o-mini: 0.15 / 0.6 USD per million tokens in / out (genai-prices openai/gpt-4o-mini)." in printed
    assert "12 of 12 questions have the answer of one LLM alone" in printed
    assert f"routemoa import --from litellm '{tmp_path / 'Spend Log.jsonl'}' --name spend-log --ask 200 --budget 1" in printed
    assert "Set label.judge" in printed
    proposed = YAML(typ="safe").load(project.imported_pool("spend-log"))
    price = proposed["llms"]["gpt-4o-mini"]["price"]
    assert (price["input"], price["output"], price["cache_read"]) == (0.15, 0.6, 0.075)
    assert price["source"] == "genai-prices openai/gpt-4o-mini"
    assert pool.load(project.imported_pool("spend-log")).by_id("gpt-4o-mini").endpoint is None
    assert not project.data.exists()


def test_a_call_that_is_exported_twice_counts_once(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of overlapping exports; another answer of the same id is another call."""
    path = log(tmp_path, 3)
    path.write_text(path.read_text() * 2 + samples.lines([samples.LITELLM[0] | {"request_id": "r0", "completion_tokens": 9_999}]))
    assert "Left out: 3 calls that are there before." in said(capsys, "--from", "litellm", path, "--name", "twice")
    assert len(store.read(project.imported_log("twice"))) == 4


def test_an_unknown_price_is_asked_for_and_never_free(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An LLM that nobody publishes a price of is in no pool until one is given, then at that one; the command says how to give it."""
    path = log(tmp_path, model="our-finetune", custom_llm_provider="openai")
    printed = said(capsys, "--from", "litellm", path, "--add-llms", "--name", "mine")
    assert "Price unknown: our-finetune. Give it with --prices FILE; until then they are in no pool." in printed
    assert "our-finetune: price unknown" in project.imported_pool("mine").read_text()
    assert "our-finetune" not in {llm.id for llm in pool.load(project.home / "registry" / "pool.yaml").llms}
    (tmp_path / "prices.yaml").write_text("our-finetune: {input: 3, output: 6}\n")
    printed = said(capsys, "--from", "litellm", path, "--add-llms", "--name", "mine", "--prices", tmp_path / "prices.yaml")
    assert "Price unknown" not in printed
    assert pool.load(project.home / "registry" / "pool.yaml").by_id("our-finetune").price == Price(3.0, 6.0)


@pytest.mark.parametrize(
    ("name", "provider", "published_as"),
    [
        ("gpt-4o-mini", None, "openai/gpt-4o-mini"),
        ("gpt-4o-2024-08-06", "openai", "openai/gpt-4o-2024-08-06"),
        ("azure/gpt-4o", None, "azure/gpt-4o"),
        ("anthropic/claude-3.5-haiku", None, "anthropic/claude-3.5-haiku"),
        ("meta-llama/llama-3.1-8b-instruct", None, "openrouter/meta-llama/llama-3.1-8b-instruct"),
        ("gemini/gemini-2.0-flash", None, "google/gemini-2.0-flash"),
        ("claude-sonnet-4-5-20250929", "anthropic", "anthropic/claude-sonnet-4-5-20250929"),
    ],
)
def test_prices_are_found_by_the_names_of_logs(name: str, provider: str | None, published_as: str) -> None:
    """With the provider before the name, beside it, or to be told by the name; never for nothing."""
    found = named(name, provider)
    assert found is not None
    assert found.published_as == published_as
    assert found.price.input > 0
    assert named("our-finetune", provider) is None


def test_a_sample_is_taken_in_within_a_budget(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many questions as the budget pays for, the log's answers beside them, graded by the judge; what it costs is in a table."""
    path = log(tmp_path)
    words = ("--from", "litellm", path, "--name", "mine", "--ask", "8")
    assert "Nothing would grade what other LLMs answer. Set label.judge" in refused(*words, "--budget", "1")
    assert "for how much is not said. Say the most it may cost, in USD: --ask 8 --budget 1" in refused(*words)
    judged(project)
    assert "pays for no question: one costs about $0.0" in refused(*words, "--budget", "0.0000001")
    assert not project.data.exists()
    assert not project.var.exists()
    assert "8 of the 8 in the sample are paid for." in said(capsys, *words, "--budget", "1")
    assert len(query_pool.rows(project)) == 8
    printed = said(capsys, *words, "--budget", "0.001")
    rows = query_pool.rows(project)
    assert 0 < len(rows) < 8
    assert {(row["grader"], row["dataset"], row["source"]) for row in rows} == {("judge", "harvested", "import:mine")}
    assert len(tables.read(project.recorded_answers("gpt-4o-mini"), tables.ANSWERS)) == 8
    assert "judges the log's" in printed
    assert "Nobody has been asked yet. `routemoa retrain` asks them, for about $0.0" in printed


def test_later_turns_and_sums_are_asked_of_nobody(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Others did not answer the earlier turns; a usage report has no questions at all, and both are said."""
    judged(project)
    (path,) = samples.written(tmp_path, "sharegpt")
    printed = said(capsys, "--from", "sharegpt", path, "--ask", "8", "--budget", "1")
    assert "1 of 1 different questions that open a chat are the sample." in printed
    assert "1 later turns are not asked of others." in printed
    (path,) = samples.written(tmp_path, "openai-usage")
    printed = said(capsys, "--from", "openai-usage", path)
    assert "2 sums of calls of 2 LLMs (gpt-4o-mini-2024-07-18 5, gpt-4o 1)" in printed
    assert "quality cannot be told from it: it has no texts." in printed
    assert "Without texts nobody else can be asked." in printed
    assert "The log has no question to ask others." in refused("--from", "openai-usage", path, "--ask", "8", "--budget", "1")


def test_outcomes_of_a_log_become_labels(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thumb on an answer is what its LLM's answer to that question was worth."""
    judged(project)
    (path,) = samples.written(tmp_path, "langfuse")
    printed = said(capsys, "--from", "langfuse", path, "--ask", "8", "--budget", "1")
    assert "1 new queries (0 had a text already there); 1 labels and 1 answers of 1 LLMs." in printed
    assert tables.read(project.recorded_labels("gpt-4o-mini"), tables.LABELS)["score"].to_list() == [1.0]


def test_result_files_become_queries_and_labels(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example once, with each LLM's score; importing again changes nothing; a sample of them is nonsense and refused."""
    (root,) = samples.written(tmp_path, "llmrouterbench")
    words = ("--from", "llmrouterbench", root, "--name", "bench")
    printed = said(capsys, *words)
    assert "2 new queries (0 had a text already there); 4 labels and 4 answers of 2 LLMs." in printed
    rows = query_pool.rows(project)
    assert {(row["text"], row["grader"], row["dataset"]) for row in rows} == {
        ("Capital of Norway?", "recorded", "capitals"),
        ("Capital of Kenya?", "recorded", "capitals"),
    }
    by_llm = {
        llm: tables.read(project.recorded_labels(llm), tables.LABELS).set_index("query_id")["score"] for llm in ("qwen-7b", "llama-8b")
    }
    assert (by_llm["qwen-7b"] + by_llm["llama-8b"] == 1).all()
    own_ids = tables.read(project.recorded_ids("bench"), tables.OWN_IDS)
    assert sorted(own_ids["own_id"]) == ["capitals-1", "capitals-2"]
    before = project.queries.read_bytes()
    said(capsys, *words)
    assert project.queries.read_bytes() == before
    assert "result files hold other answers already" in refused(*words, "--ask", "8", "--budget", "1")


def test_what_no_file_grades_a_grader_may(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenCompass keeps no correctness for some evaluators: with --grader the references grade the answers, without it that is said."""
    (run,) = samples.written(tmp_path, "opencompass")
    samples.saved(
        run / "predictions" / "acme" / "chat-7b" / "solo.json", {"0": {"origin_prompt": "2 + 2?", "prediction": "4", "gold": "4"}}
    )
    printed = said(capsys, "--from", "opencompass", run, "--name", "oc")
    assert "1 queries of solo are graded by no file: --grader NAME grades those that have a reference." in printed
    assert "2 + 2?" not in {row["text"] for row in query_pool.rows(project)}
    printed = said(capsys, "--from", "opencompass", run, "--name", "oc", "--grader", "number")
    assert "1 queries of ungraded are graded by no file, and number cannot: grader number: reference 'A' is not one number." in printed
    (row,) = [row for row in query_pool.rows(project) if row["text"] == "2 + 2?"]
    assert (row["grader"], row["reference"]) == ("number", "4")
    assert pool.load(project.home / "registry" / "pool.yaml")


def test_what_was_meant_is_said(project: Project, tmp_path: Path) -> None:
    """A file without its format, a format without a file, two imports at once, a misspelt format, a file that is not there."""
    path = log(tmp_path)
    assert "in which format is not said. routemoa import --from FORMAT FILES" in refused(path)
    assert "The import has no name." in refused("--queries", path)
    assert "Name the files: routemoa import --from litellm FILES" in refused("--from", "litellm")
    assert "are two imports" in refused("--from", "litellm", path, "--queries", path)
    assert "Did you mean litellm?" in refused("--from", "liteLLM2", path)
    assert "gone.jsonl: cannot be read (No such file or directory). Check the path." in refused(
        "--from", "litellm", tmp_path / "gone.jsonl"
    )
    assert not project.var.exists()
