"""Choice questions and short tasks from the `evals` package (MIT; Social IQA inside it CC BY 4.0)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from mixture.reading.picks import LETTERS
from pipelines.sources.row import SourceQuery, any_of, either_or, lettered, packed, sampled

SOURCE = "evals 3.0.1.post1"
OPTION = re.compile(r"^\s*\(?([A-Ha-h])\s*[.):]\s*(.*\S)\s*$")
INLINE = re.compile(r"(?:^|\s)([a-dA-D])[):]\s*")
BIOMEDICINE = re.compile(
    r"\b(patients?|disease|drugs?|medic\w+|clinical\w*|cells?|genes?|genetic\w*|virus\w*|bacteri\w*|protein\w*|blood|nerv\w+|muscles?|brain|hormon\w+|"
    r"infect\w+|symptoms?|diagnos\w+|vaccin\w+|tissue|enzymes?|DNA|RNA|chromosom\w+|vitamin\w*|therapy|syndrome|organs?|anatom\w+|nutri\w+|HIV)\b",
    re.IGNORECASE,
)
LAW = re.compile(
    r"\b(laws?|legal|courts?|statut\w+|defendants?|plaintiffs?|jur\w+|contracts?|liable|liability|treat(?:y|ies)|tort|attorney\w*)\b",
    re.IGNORECASE,
)
MATHEMATICS = re.compile(r"\b(calculate|equation|polynomial|integer|matrix|probability|vector|group G|factor group|graph)\b|[=^]")


def rows(folder: Path) -> Iterator[SourceQuery]:
    """Every query taken from the package's `evals/registry/data` folder."""
    for source in (_mmlu, _medmcqa, _logiqa, _quartz, _socialiqa, _law, _spanish, _coding, _products, _areas):
        yield from source(folder)


def _lines(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip()]


def _user(row: dict[str, object]) -> str:
    """What the user says in a row: the last message."""
    messages = row["input"]
    return str(messages[-1]["content"] if isinstance(messages, list) else messages)


def _split(text: str) -> tuple[str, list[str]] | None:
    """Question and options of a text whose options stand one a line; None where they do not run A, B, C ..."""
    stem: list[str] = []
    options: list[str] = []
    for line in re.sub(r"\s*Answer:?\s*$", "", text).strip().splitlines():
        option = OPTION.match(line)
        if option and option[1].upper() == LETTERS[len(options)]:
            options.append(re.sub(r"^[A-D]\.\s*", "", option[2]))  # logiqa letters its options twice
        elif options and line.strip():
            return None
        else:
            stem.append(line)
    distinct = len({option.lower() for option in options}) == len(options)
    return ("\n".join(stem).strip(), options) if len(options) > 1 and distinct else None


def _choice(dataset: str, domain: str, text: str, answer: str, *, written_out: bool = False, language: str = "en") -> SourceQuery | None:
    """A choice question, or None where text and answer do not make one."""
    parsed = _split(text)
    letter = re.sub(r"[^A-H]", "", answer.upper()[:3])[:1]
    if parsed is None or not letter or LETTERS.index(letter) >= len(parsed[1]):
        return None
    stem, options = parsed
    rendered = either_or(stem, options) if written_out else lettered(stem, options)
    return SourceQuery(dataset, domain, rendered, "choice", letter, tuple(options), language=language, source=SOURCE, licence="MIT")


def _short(queries: list[SourceQuery | None], longest: int) -> list[SourceQuery]:
    return [query for query in queries if query is not None and len(query.text) <= longest]


def _mmlu(folder: Path) -> Iterator[SourceQuery]:
    """MMLU, sorted into knowledge, biomedicine and law by its words; mathematics is left out (ours is generated)."""
    by_domain: dict[str, list[SourceQuery]] = {"knowledge": [], "biomedicine": [], "law": []}
    for row in [*_lines(folder, "sandbagging/samples-all-large.jsonl"), *_lines(folder, "sandbagging/samples-all.jsonl")]:
        text = str(row["question"])
        if MATHEMATICS.search(text) or "morally wrong" in text or "Scenario 1" in text:
            continue
        domain = "law" if LAW.search(text) else "biomedicine" if BIOMEDICINE.search(text) else "knowledge"
        by_domain[domain] += _short([_choice("mmlu", domain, text, str(row["answer"]))], 420)
    for domain, count in (("knowledge", 150), ("biomedicine", 70), ("law", 30)):
        yield from sampled(by_domain[domain], count, "mmlu")


def _medmcqa(folder: Path) -> Iterator[SourceQuery]:
    """Medical entrance questions: most lettered, some as a claim to be judged."""
    queries = []
    for row in _lines(folder, "medmcqa/samples.jsonl"):
        text = re.sub(r"^Subject:[^\n]*\n", "", _user(row)).strip()
        queries.append(_choice("medmcqa", "biomedicine", text, str(row["ideal"])))
    chosen = sampled(_short(queries, 330), 120, "medmcqa")
    yield from chosen[:80]
    for position, query in enumerate(chosen[80:]):
        right = LETTERS.index(query.reference)
        shown = right if position % 2 == 0 else (right + 1) % len(query.choices)
        stem = query.text.split("\nA. ")[0]
        text = f"Question: {stem}\nProposed answer: {query.choices[shown]}\nIs the proposed answer correct? Answer yes or no."
        yield SourceQuery(
            "medmcqa", "biomedicine", text, "choice", "A" if shown == right else "B", ("yes", "no"), source=SOURCE, licence="MIT"
        )


def _logiqa(folder: Path) -> Iterator[SourceQuery]:
    queries = []
    for row in _lines(folder, "logiqa/logiqa.jsonl"):
        text = _user(row).replace("Passage:", "", 1).replace("Question:", "\nQuestion: ", 1).strip()
        queries.append(_choice("logiqa", "reasoning", text, str(row["ideal"])))
    yield from sampled(_short(queries, 560), 50, "logiqa")


def _quartz(folder: Path) -> Iterator[SourceQuery]:
    """Which way a quantity goes: half lettered, half answered in words."""
    rows = sampled(_lines(folder, "quartz/samples.jsonl"), 120, "quartz")
    queries = [_choice("quartz", "reading", _user(row), str(row["ideal"]), written_out=i % 2 == 0) for i, row in enumerate(rows)]
    yield from _short(queries, 400)[:100]


def _socialiqa(folder: Path) -> Iterator[SourceQuery]:
    for position, row in enumerate(sampled(_lines(folder, "theory_of_mind/socialiqa/test.jsonl"), 80, "socialiqa")):
        text = re.sub(r";?\s*\b([ABC]): ", r"\n\1. ", _user(row)).strip().removesuffix(".")
        query = _choice("socialiqa", "reading", text, str(row["ideal"]), written_out=position % 2 == 0)
        if query is not None:
            yield SourceQuery(
                query.dataset, query.domain, query.text, query.grader, query.reference, query.choices, source=SOURCE, licence="CC-BY-4.0"
            )


def _law(folder: Path) -> Iterator[SourceQuery]:
    """Out of domain: property law as asked in Utah's licence exam, and tort law."""
    utah = [_choice("utah-real-estate", "law", _user(row), str(row["ideal"])) for row in _lines(folder, "utah_real_estate/samples.jsonl")]
    tort = [_choice("us-tort-law", "law", _user(row), str(row["ideal"])) for row in _lines(folder, "us_tort_law/samples.jsonl")]
    yield from sampled(_short(utah, 400), 35, "utah")
    yield from sampled(_short(tort, 700), 15, "tort")


def _spanish(folder: Path) -> Iterator[SourceQuery]:
    """Out of domain: school exams in Spanish."""
    queries = [
        _choice("spanish-exams", "spanish", _user(row), str(row["ideal"]).strip("[]"), language="es")
        for row in _lines(folder, "spanish-exams-qa/samples.jsonl")
    ]
    yield from sampled(_short(queries, 330), 65, "spanish-exams")


def _coding(folder: Path) -> Iterator[SourceQuery]:
    """Short questions about code: data structures, regular expressions, cron, CSS, comprehensions, languages."""
    for row in _lines(folder, "test_comp_sci/questions.jsonl"):
        stem, *parts = INLINE.split(_user(row))
        options = [part.strip() for part in parts[1::2]]
        letter = str(row["ideal"]).upper()
        if [mark.upper() for mark in parts[::2]] == list("ABCD") and letter in LETTERS[:4] and "</" not in _user(row):
            text = lettered(stem, options)
            yield SourceQuery("comp-sci", "coding", text, "choice", letter, tuple(options), source=SOURCE, licence="MIT")
    matches = sampled(_lines(folder, "regex-match/samples.jsonl"), 400, "regex")
    for wanted, letter in (("Yes.", "A"), ("No.", "B")):
        for row in [row for row in matches if row["ideal"] == wanted][:16]:
            text = _user(row).replace("will regex", "Will the regex", 1).replace("Either answer with 'Yes.' or 'No.'", "Answer yes or no.")
            yield SourceQuery("regex-match", "coding", text, "choice", letter, ("yes", "no"), source=SOURCE, licence="MIT")
    for row in _lines(folder, "crontab/samples.jsonl")[:15]:
        text = f"Write the cron expression (5 fields) for: {_user(row)}"
        pattern = rf"(?:.*[\s`])?{re.escape(str(row['ideal']))}(?:[\s`].*)?"  # `contains` would drop the stars
        yield SourceQuery(
            "crontab", "coding", text, "verifier", packed({"name": "matches", "pattern": pattern}), source=SOURCE, licence="MIT"
        )
    for row in _lines(folder, "python_list_comprehension/samples.jsonl"):
        text = _user(row).split("Answer directly")[0].strip()
        yield SourceQuery("list-comprehension", "coding", text, "number", str(row["ideal"]), source=SOURCE, licence="MIT")
    for row in _lines(folder, "syntax-check/samples.jsonl"):
        text = f"Which programming language or framework is this code written in?\n{_user(row)}"
        yield SourceQuery("code-language", "coding", text, "contains", any_of(str(row["ideal"])), source=SOURCE, licence="MIT")


def _products(folder: Path) -> Iterator[SourceQuery]:
    """Reading a value out of a product's title."""
    for row in _lines(folder, "product-ie/zeroshot/product_ie_zero_shot_samples.jsonl"):
        ideal = row["ideal"]
        accepted = [str(value) for value in ideal] if isinstance(ideal, list) else [str(ideal)]
        if not accepted[0].startswith("I do no"):
            title, _, wanted = _user(row).partition("Requested Attribute:")
            text = f"Product: {title.strip()}\nWhat is its {wanted.strip().lower()}?"
            yield SourceQuery("product-titles", "reading", text, "contains", any_of(*accepted), source=SOURCE, licence="MIT")


def _areas(folder: Path) -> Iterator[SourceQuery]:
    for row in sampled(_lines(folder, "compare-countries-area/samples.jsonl"), 25, "areas"):
        names = [name.strip() for name in _user(row).split("Do not explain.")[1].split(",")]
        text = f"Which of these countries has the largest area: {', '.join(names)}?"
        answer = str(row["ideal"])
        if answer in names:
            reference = LETTERS[names.index(answer)]
            yield SourceQuery("country-areas", "knowledge", text, "choice", reference, tuple(names), source=SOURCE, licence="MIT")
