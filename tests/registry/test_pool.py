"""The pool file: what is read, what is refused and how, and how it grows."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mixture.llm import LLM, Endpoint, RequestFields
from mixture.price import Price
from registry import pool
from registry.entry import PoolEntry, check_id
from registry.errors import LLMUnknown, PoolRefused

OWN = Path(__file__).parents[2] / "registry" / "pool.yaml"
ENDPOINT = {"base_url": "http://127.0.0.1:8000/v1", "served_name": "n", "api_key_env": None}
ENTRY: dict[str, Any] = {"name": "N", "endpoint": ENDPOINT, "price": {"input": 1, "output": 2}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the project's own pool."""
    return Path(shutil.copy(OWN, tmp_path / "pool.yaml"))


def written(tmp_path: Path, text: str) -> Path:
    """A pool file with this text."""
    path = tmp_path / "pool.yaml"
    path.write_text(text)
    return path


def test_the_projects_own_pool_is_sound() -> None:
    """The pool we ship has at least four LLMs to route among, in file order."""
    llms = pool.load(OWN).llms
    assert llms[0].id == "smollm2-135m"
    assert llms[0].endpoint == Endpoint("http://127.0.0.1:8101/v1", "smollm2-135m", None)
    assert len(llms) >= 4


def test_only_the_retired_are_out(file: Path) -> None:
    """Active and candidate LLMs are asked and trained on; retired ones are known, but never used."""
    pool.append(file, "coming", {**ENTRY, "status": "candidate"})
    pool.append(file, "gone", {**ENTRY, "status": "retired"})
    known = pool.load(file)
    assert {"coming", "gone"} <= {llm.id for llm in known.llms}
    assert [llm.id for llm in known.active][-1] == "coming"


def test_a_recorded_llm_has_no_endpoint(file: Path) -> None:
    """`endpoint: null` is said, never forgotten: it means that answers are known from files."""
    assert pool.append(file, "recorded", {**ENTRY, "endpoint": None}).endpoint is None
    with pytest.raises(PoolRefused, match=r"llms.other.endpoint is missing"):
        pool.append(file, "other", {key: value for key, value in ENTRY.items() if key != "endpoint"})


def test_an_unknown_llm_is_answered_with_near_ids() -> None:
    """A misspelt id names the ones it may have meant."""
    with pytest.raises(LLMUnknown, match=r"'qwen-coder-1.5b'.*qwen-coder-1-5b"):
        pool.load(OWN).by_id("qwen-coder-1.5b")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"nmae": "N"}, r"llms.x.nmae is not a known key, did you mean name or pace\?"),
        ({"price": {"input": -1, "output": 2}}, r"llms.x.price.input: .*greater than or equal to 0 \(found -1\)"),
        ({"price": {"input": float("nan"), "output": 2}}, r"llms.x.price.input: .*\(found nan\)"),
        ({"price": {"input": True, "output": 2}}, "llms.x.price.input: is a truth value"),
        ({"price": {"input": 1}}, "llms.x.price.output is missing"),
        ({"price": {"input": 1, "output": 2, "discount": 2}}, r"llms.x.price.discount: .*less than or equal to 1"),
        ({"price": {"input": 1, "output": 2, "overrides": [{"input": 2}]}}, "llms.x.price.overrides.0: has no condition"),
        ({"price": {"input": 1, "output": 2, "overrides": [{"longer_than": 2}]}}, "overrides.0: changes no rate"),
        ({"price": {"input": 1, "output": 2, "overrides": [{"utc_start": "22:00", "input": 2}]}}, "a window needs both"),
        ({"price": {"input": 1, "output": 2, "overrides": [{"utc_start": "25:00", "utc_end": "26:00", "input": 2}]}}, "no time of a day"),
        ({"price": {"inptu": 1, "input": 1, "output": 2}}, r"llms.x.price.inptu is not a known key, did you mean input"),
        ({"status": "live"}, r"llms.x.status: .*\(found 'live'\)"),
        ({"capabilities": ["telepathy"]}, r"llms.x.capabilities.0: .*\(found 'telepathy'\)"),
        ({"context_window": 0}, r"llms.x.context_window: .*\(found 0\)"),
        ({"request_fields": {"omit": ["model"]}}, "llms.x.request_fields.omit.0: .*model is what every request needs"),
        ({"request_fields": {"rename": {"max_tokens": "stream"}}}, "llms.x.request_fields.rename.*stream is what every request needs"),
        ({"request_fields": {"rename": {"seed": "s"}, "omit": ["seed"]}}, "llms.x.request_fields: .*seed is both renamed and left out"),
        ({"limits": {"total_s": 0}}, r"llms.x.limits.total_s: .*\(found 0\)"),
        ({"endpoint": {**ENDPOINT, "base_url": "127.0.0.1:8000"}}, r"base_url: is not an http\(s\) address"),
        ({"endpoint": {**ENDPOINT, "base_url": "file:///etc/passwd"}}, r"base_url: is not an http\(s\) address"),
        ({"endpoint": {**ENDPOINT, "base_url": "http://h/v1?key=1"}}, "base_url: has a query"),
        ({"endpoint": {**ENDPOINT, "served_name": ""}}, "served_name: "),
        ({"endpoint": {**ENDPOINT, "served_name": "gpt-4o\n"}}, "served_name: has spaces around it"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(file: Path, changed: dict[str, Any], complaint: str) -> None:
    """Whatever is wrong in an entry: file, entry, field and value are in the message, and the file stays as it was."""
    before = file.read_bytes()
    with pytest.raises(PoolRefused, match=complaint) as refused:
        pool.append(file, "x", {**ENTRY, **changed})
    assert str(file) in str(refused.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "endpoint",
    [{**ENDPOINT, "api_key_env": "sk-topsecret"}, {**ENDPOINT, "base_url": "https://me:topsecret@host/v1"}],
)
def test_a_secret_is_refused_and_not_repeated(file: Path, endpoint: dict[str, Any]) -> None:
    """A key or password pasted into the pool is refused, and the message does not carry it into a log."""
    with pytest.raises(PoolRefused, match="environment variable") as refused:
        pool.append(file, "x", {**ENTRY, "endpoint": endpoint})
    assert "topsecret" not in str(refused.value)


@pytest.mark.parametrize(
    "llm_id",
    ["gpt-4.1", "Upper", "-x", "a b", "", "a/b", "../x", "12", "routemoa", "routemoa-layers", "routemoa-single", "x" * 65, 12, None],
)
def test_an_id_that_is_no_slug_is_refused(file: Path, llm_id: Any) -> None:
    """Ids go into file names, URLs and DVC keys; virtual models keep their names."""
    with pytest.raises(PoolRefused, match="the id"):
        pool.append(file, llm_id, ENTRY)


@pytest.mark.parametrize("name", ["openai/gpt-4o", "meta-llama/Llama-3.1-8B:free", "anthropic.claude-v2:1"])
def test_vendors_names_are_served_names(file: Path, name: str) -> None:
    """A vendor's own name is what an LLM is served under, as it is; as an id it is refused with one that may be."""
    assert pool.append(file, "x", {**ENTRY, "endpoint": {**ENDPOINT, "served_name": name}}).endpoint == Endpoint(ENDPOINT["base_url"], name)
    slug = "-".join(re.findall("[a-z0-9]+", name.lower()))
    with pytest.raises(PoolRefused, match=rf"Its id may be {slug}; a vendor's own name is the served name"):
        pool.append(file, name, ENTRY)


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True))
def test_every_slug_is_an_id(llm_id: str) -> None:
    """Any slug is taken, but for plain numbers and the virtual models' names."""
    if llm_id.isdigit() or llm_id in {"routemoa", "routemoa-layers", "routemoa-single"}:
        with pytest.raises(ValueError, match="the id"):
            check_id(llm_id)
    else:
        assert check_id(llm_id) == llm_id


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("llms:\n  a: {name: x\n  b: 1\n", "line 3: not valid YAML"),
        ("llms:\n  a: {}\n  a: {}\n", 'line 3: not valid YAML: found duplicate key "a"'),
        ("llms:\n  a:\n    name: x\n    name: y\n", 'line 4: not valid YAML: found duplicate key "name"'),
        ("llms: [a]\n", "llms is a CommentedSeq, not a mapping"),
        ("llms:\n  a: 3\n", r"llms.a: .*\(found 3\)"),
        ("llm: {}\n", r"expected one key `llms`, found \['llm'\]"),
        ("", "expected one key `llms`"),
        ("llms:\n  a: !!python/object:os.system {}\n", "llms.a"),
        ("llms:\n  a: \x00\n", "not valid YAML"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """A broken pool file names itself, the line, and the problem."""
    with pytest.raises(PoolRefused, match=complaint):
        pool.load(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Running outside the project says so."""
    with pytest.raises(PoolRefused, match=r"pool.yaml: cannot be read.*project's root"):
        pool.load(tmp_path / "pool.yaml")


def test_all_complaints_come_at_once(tmp_path: Path) -> None:
    """An entry with two faults is corrected in one go."""
    with pytest.raises(PoolRefused, match=r"llms.a.price.input.*llms.a.nmae"):
        pool.load(written(tmp_path, "llms:\n  a: {name: x, endpoint: null, price: {input: -1, output: 1}, nmae: y}\n"))


def test_an_append_adds_lines_and_changes_none(file: Path) -> None:
    """Comments and layout of the file stay: the diff of a new LLM is the new LLM."""
    before = file.read_text()
    llm = pool.append(file, "new", {**ENTRY, "name": "It's: a #name", "capabilities": ["json"]})
    after = file.read_text()
    assert after.startswith(before)
    assert pool.load(file).by_id("new") == llm
    assert llm.price == Price(1, 2)
    (line,) = after[len(before) :].splitlines()
    assert set(YAML(typ="safe").load(line)["new"]) == set(PoolEntry.model_fields)  # every field is spelled out


def test_two_branches_that_each_add_an_llm_merge_whole(tmp_path: Path) -> None:
    """Git puts both entries in, none loses a field to the other, and whoever had to keep both by hand would do the same."""
    (tmp_path / ".gitattributes").write_text((OWN.parents[1] / ".gitattributes").read_text())
    (tmp_path / "registry").mkdir()
    file = Path(shutil.copy(OWN, tmp_path / "registry" / "pool.yaml"))

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "start")
    long = {**ENTRY, "prompt": {"system": "Line one.\nLine two. " + "Be brief. " * 900, "suffix": ""}}
    for branch, entry in (("anna", ENTRY), ("ben", {**long, "price": {"input": 3, "output": 4}})):
        git("checkout", "-q", "-b", branch, "main")
        pool.append(file, f"{branch}-llm", entry)
        git("commit", "-qam", branch)
    git("merge", "-q", "anna", "-m", "both")
    merged = {llm.id: llm for llm in pool.load(file).llms}
    assert merged["anna-llm"] == PoolEntry.model_validate(ENTRY).llm("anna-llm")
    assert (merged["ben-llm"].price, merged["ben-llm"].prompt.system) == (Price(3, 4), long["prompt"]["system"])


def test_an_append_to_an_empty_pool(tmp_path: Path) -> None:
    """The first LLM can be added by command."""
    file = written(tmp_path, "# mine\nllms:\n")
    pool.append(file, "first", ENTRY)
    assert [llm.id for llm in pool.load(file).llms] == ["first"]
    assert file.read_text().startswith("# mine\n")


def test_a_change_touches_its_fields_alone(file: Path) -> None:
    """The diff of a retired LLM is one line; a new endpoint and price replace the old ones whole."""
    pool.append(file, "new", ENTRY)
    before = file.read_text()
    assert pool.change(file, "new", {"status": "retired"}).status == "retired"
    *others, last = before.splitlines()
    assert file.read_text().splitlines() == [*others, last.replace("status: active", "status: retired")]
    assert pool.change(file, "smollm2-135m", {"status": "retired"}).status == "retired"
    changed_lines = [now.strip() for old, now in zip(others, file.read_text().splitlines(), strict=False) if old != now]
    assert changed_lines == ["status: retired"]
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "served_name": "m", "api_key_env": None}
    changed = pool.change(file, "new", {"endpoint": endpoint, "price": {"input": 3, "output": 4}})
    assert (changed.price, changed.status) == (Price(3, 4), "retired")
    assert pool.load(file).by_id("new") == changed


def test_a_change_that_is_wrong_changes_nothing(file: Path) -> None:
    pool.append(file, "new", ENTRY)
    before = file.read_text()
    with pytest.raises(PoolRefused, match=r"llms\.new\.price\.input"):
        pool.change(file, "new", {"price": {"input": -1, "output": 1}})
    with pytest.raises(LLMUnknown, match="Did you mean new"):
        pool.change(file, "newt", {"status": "retired"})
    assert file.read_text() == before


def test_an_id_is_given_once(file: Path) -> None:
    """A second LLM under a taken id is refused, a retired one's included."""
    pool.append(file, "gone", {**ENTRY, "status": "retired"})
    with pytest.raises(PoolRefused, match=r"llms.gone already exists.*another id"):
        pool.append(file, "gone", ENTRY)


def test_a_lock_held_elsewhere_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot get the file's lock is told to try again; the file is as it was."""
    monkeypatch.setattr(pool, "LOCK_WAIT_S", 0.1)
    before = file.read_bytes()
    with FileLock(file.with_name(f".{file.name}.lock")), pytest.raises(PoolRefused, match=r"another process holds its lock.*[Tt]ry again"):
        pool.append(file, "late", ENTRY)
    assert file.read_bytes() == before
    assert pool.append(file, "late", ENTRY).id == "late"


def test_appends_at_once_are_all_kept(file: Path) -> None:
    """Processes that add LLMs at the same moment do not lose each other's entry."""
    before = len(pool.load(file).llms)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda i: pool.append(file, f"llm-{i}", ENTRY), range(12)))
    assert len(pool.load(file).llms) == before + 12
    assert not [path for path in file.parent.iterdir() if path.suffix not in {".yaml", ".lock"}]


def test_training_whole_takes_the_mark_from_every_entry(file: Path) -> None:
    """Who joined by its row is trained with the others from then on; nothing else of the file changes."""
    before = file.read_text()
    pool.append(file, "new", {**ENTRY, "trained": "row", "max_training_queries": 300})
    pool.append(file, "other", {**ENTRY, "trained": "jointly"})
    assert pool.load(file).by_id("new").trained == "row"
    assert pool.train_jointly(file) == ("new",)
    assert {llm.trained for llm in pool.load(file).llms} == {"jointly"}
    assert pool.load(file).by_id("new").max_training_queries == 300
    assert file.read_text().startswith(before)
    assert pool.train_jointly(file) == ()


def test_an_entry_says_how_fields_of_a_request_are_sent(file: Path) -> None:
    """And reads the same again from the file that it was added to."""
    fields = {"rename": {"max_tokens": "max_completion_tokens"}, "omit": ["seed", "logprobs"]}
    added = pool.append(file, "new", {**ENTRY, "request_fields": fields})
    assert added.request_fields == RequestFields({"max_tokens": "max_completion_tokens"}, frozenset({"seed", "logprobs"}))
    assert pool.load(file).by_id("new") == added


def test_an_entry_means_what_the_llm_dataclass_says() -> None:
    """Every field that may be left out has one default, mixture.llm's; YAML spells it out, and it reads the same again."""
    entry = PoolEntry.model_validate(ENTRY)
    plain = LLM(id="x", name="N", price=Price(1, 2), endpoint=Endpoint(**ENDPOINT))
    assert entry.llm("x") == plain
    assert PoolEntry.model_validate(entry.spelled_out()).llm("x") == plain
    optional = {field for field, info in PoolEntry.model_fields.items() if not info.is_required()}
    assert optional <= set(entry.spelled_out())


def test_entries_may_share_what_yaml_lets_them_share(tmp_path: Path) -> None:
    """A hand-written entry may take another's fields by YAML's own means, and leave out all that has a default."""
    text = "llms:\n  a: &a {name: A, endpoint: null, price: {input: 1, output: 2}, prompt: {system: 'Use ${x}'}}\n  b: {<<: *a, name: B}\n"
    llms = pool.load(written(tmp_path, text)).llms
    assert [(llm.name, llm.price, llm.prompt.system) for llm in llms] == [("A", Price(1, 2), "Use ${x}"), ("B", Price(1, 2), "Use ${x}")]


def test_a_quoted_id_is_a_plain_one(tmp_path: Path) -> None:
    """Files written as JSON quote their ids; what is kept by id must still be writable as JSON."""
    llms = pool.load(written(tmp_path, '{"llms": {"a": {"name": "A", "endpoint": null, "price": {"input": 1, "output": 2}}}}')).llms
    assert [type(llm.id) for llm in llms] == [str]
