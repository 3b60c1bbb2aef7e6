"""Asks all LLMs of the pool, or those that are named, at once what they were never asked: `python -m pipelines.ask_all [LLM]...`.

The answers lie in the journals then, where the stage `answer` of each LLM finds them. Left to that stage is what was asked in vain, for
DVC runs it only where something changed, and nothing is to be bought that no table takes in; and a newcomer's later rounds, each
picked by what the ones before brought.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import pandas as pd

from mixture.llm import LLM
from mixture.run.ledger import Ledger
from pipelines import params, query_pool, second_round
from pipelines.answer_store import AnswerStore
from pipelines.missing_answers import Missing, ask, one_run
from pipelines.params import Params
from pipelines.project import Project, stage_settings
from registry import pool
from scorer.errors import RouteMoAError


def ask_all(project: Project, llms: Iterable[LLM], table: pd.DataFrame, settings: Params) -> None:
    """Asks the LLMs that have an endpoint and are not retired. Raises as `missing_answers.ask` does, and where one is being asked."""
    with ExitStack() as locks:
        every = []
        for llm in llms:
            if llm.endpoint is not None and llm.status != "retired":
                locks.enter_context(one_run(project, llm))
                every.append(_never_asked(project, llm, table, settings))
        ask(project, every, settings.answer.retries + 1)


def _never_asked(project: Project, llm: LLM, table: pd.DataFrame, settings: Params) -> Missing:
    """What `llm` was never asked of what its first round is about; says how much it is."""
    texts = dict(zip(table["query_id"], table["text"], strict=True))
    asked = set(AnswerStore(project, llm).current(texts)["query_id"])
    missing = second_round.first_missing(project, llm, table, settings, asked)
    print(f"{llm.id}: {len(asked)} asked, asking {len(missing)}.", flush=True)
    return Missing.of(llm, texts, missing, Ledger(settings.answer.budget_usd))


def main(arguments: Sequence[str] = ()) -> None:
    """Reads the command line, pool, parameters and query pool; prints how much each LLM is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", nargs="*", help="an id of registry/pool.yaml; none: all")
    named = parser.parse_args(arguments).llm
    settings = stage_settings()
    project = Project(settings.home)
    try:
        entries = pool.load(settings.pool_file)
        llms = [entries.by_id(llm) for llm in named] or entries.llms
        ask_all(project, llms, query_pool.read(project), params.load(project.params))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main(sys.argv[1:])
