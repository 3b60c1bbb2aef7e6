"""What asking an LLM the queries it lacks will cost, before it is asked: `python -m pipelines.asking_cost LLM` prints it as JSON.

Lengths are those of the pool's recorded answers. An LLM's prompt is counted by its characters, corrected by what the other LLMs counted.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from mixture.llm import LLM
from pipelines import harvest_cost, params, query_selection, tables
from pipelines.answer_store import AnswerStore
from pipelines.graders.names import OPEN
from pipelines.graders.query import Query
from pipelines.params import Params
from pipelines.project import Project, stage_settings
from registry import joining, pool
from registry.asking_cost import AskingCost
from registry.pool import Pool
from scorer.errors import RouteMoAError

COLUMNS = ("query_id", "input_tokens", "output_tokens", "error")


@dataclass(frozen=True, slots=True)
class Lengths:
    """What one LLM's recorded answers say: tokens counted for each expected from characters, and the length of each answer in tokens."""

    counted: float
    output_tokens: "np.ndarray[tuple[int], np.dtype[np.int64]]"


def estimate(project: Project, llm: LLM, pool: Pool, settings: Params) -> AskingCost:
    """What asking `llm`, which need not be in the pool yet, would cost now. Raises TableRefused where there is no query pool."""
    table = tables.read(project.queries, tables.QUERIES)
    texts = dict(zip(table["query_id"], table["text"], strict=True))
    asked = _asked(project, llm, table, settings)
    recorded = list(_recorded(project, [other for other in pool.llms if other.id != llm.id], texts))
    mean_input = np.mean([harvest_cost.prompt_tokens(llm, texts[query_id]) for query_id in asked]) if asked else 0.0
    counted = np.mean([one.counted for one in recorded]) if recorded else 1.0
    longest = llm.decoding.max_tokens
    mean_output = float(np.mean([np.minimum(one.output_tokens, longest).mean() for one in recorded])) if recorded else float(longest)
    input_tokens, output_tokens = round(len(asked) * mean_input * counted), round(len(asked) * mean_output)
    judged = [Query.of(row) for row in table[table["query_id"].isin(asked) & table["grader"].isin(list(OPEN))].to_dict("records")]
    return AskingCost(
        queries=len(asked),
        of=len(texts),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usd=llm.price.cost(input_tokens, output_tokens, len(asked)),
        most_usd=llm.price.cost(input_tokens, len(asked) * longest, len(asked)),
        judging_usd=sum(bill.usd for bill in harvest_cost.judging(pool, settings, [(query, mean_output) for query in judged])),
        llms=len(recorded),
        stops_at_usd=settings.answer.budget_usd,
    )


def _asked(project: Project, llm: LLM, table: pd.DataFrame, settings: Params) -> list[str]:
    """As many queries as `pipelines.answer` will ask, and nearly the same: which ones exactly takes an encoder to say."""
    by_hash = dataclasses.replace(llm, trained="jointly")
    current = AnswerStore(project, llm).current(dict(zip(table["query_id"], table["text"], strict=True)))
    return query_selection.missing(project, by_hash, table, settings, set(current.loc[current["error"].isna(), "query_id"]))


def _recorded(project: Project, llms: list[LLM], texts: dict[str, str]) -> Iterator[Lengths]:
    """What the answers of each of `llms` say, where it has some with a length."""
    for llm in llms:
        for path in (project.answers(llm.id), project.recorded_answers(llm.id)):
            if not path.is_file():
                continue
            answers = pq.read_table(path, columns=list(COLUMNS)).to_pandas()
            usable = answers[answers["error"].isna() & answers["query_id"].isin(list(texts)) & (answers["output_tokens"] > 0)]
            if usable.empty:
                continue
            expected = sum(harvest_cost.prompt_tokens(llm, texts[query_id]) for query_id in usable["query_id"])
            counted = float(usable["input_tokens"].sum()) / expected
            yield Lengths(counted if counted > 0 else 1.0, usable["output_tokens"].to_numpy(dtype=np.int64))
            break


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and prints the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", help="an id of registry/pool.yaml")
    parser.add_argument("--entry", type=json.loads, help="its entry as JSON, where it is not in that file yet")
    command_line = parser.parse_args(arguments)
    settings = stage_settings()
    project = Project(settings.home)
    try:
        known = pool.load(settings.pool_file)
        llm = known.by_id(command_line.llm) if command_line.entry is None else joining.parsed(command_line.llm, command_line.entry)
        cost = estimate(project, llm, known, params.load(project.params))
    except RouteMoAError as exc:
        sys.exit(str(exc))
    print(json.dumps(dataclasses.asdict(cost)))


if __name__ == "__main__":
    main()
