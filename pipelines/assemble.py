"""Puts queries and labels of the pool's LLMs together, split to train and to judge: `python -m pipelines.assemble` -> build/dataset/."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from mixture.choose.final_answers import short_answer
from mixture.llm import LLM
from mixture.price import Price
from mixture.usage import Usage
from pipelines import params, query_pool, splits, tables
from pipelines.dataset import ANSWERS_META, OWN_IDS_FILE, WEIGHTED, RosterLLM, write_roster
from pipelines.errors import PipelineError
from pipelines.project import Project, stage_settings
from pipelines.tables import USAGE_PARTS
from pipelines.training_labels import one_label_each, weighted, without_suspects
from registry import pool
from scorer.errors import RouteMoAError


@dataclass(frozen=True, slots=True)
class Assembled:
    """The tables of build/dataset and the LLMs left out of it for want of any label."""

    queries: pd.DataFrame
    labels: pd.DataFrame
    answers: pd.DataFrame
    splits: pd.DataFrame
    roster: tuple[RosterLLM, ...]
    unlabelled: tuple[str, ...]


def priced(answers: pd.DataFrame, llm: LLM) -> pd.DataFrame:
    """ANSWERS_META of one LLM: means over its samples, and the first one's final answer; failed calls left out."""
    usable = answers[answers["error"].isna()]
    usable = usable.assign(cost_usd=billed(usable, llm.price))
    first = usable.sort_values("sample").drop_duplicates("query_id").set_index("query_id")["text"].fillna("")
    means = usable.groupby("query_id", as_index=False)[["input_tokens", "output_tokens", "cost_usd", "latency_s", "mean_logprob"]].mean()
    final_answer = pd.Series(means["query_id"].map(first).map(short_answer), dtype=object)
    priced_means: pd.DataFrame = means.assign(llm=llm.id, final_answer=final_answer)[ANSWERS_META.names]
    return priced_means


def billed(answers: pd.DataFrame, price: Price) -> "pd.Series[float]":
    """USD of each answer by the pool's price of today, at the hour when it was asked; NaN where its tokens or the price are unknown."""
    if not price.known:
        return pd.Series(np.nan, index=answers.index)
    parts = answers.reindex(columns=list(USAGE_PARTS)).fillna(0).astype("int64")  # an answer of which only the two counts are known
    rows = zip(answers["asked_at"], answers["input_tokens"], answers["output_tokens"], parts.itertuples(index=False), strict=True)
    usd = [
        np.nan if pd.isna(read) or pd.isna(written) else price.at(asked_at).bill(Usage(int(read), int(written), *cached_or_thought))
        for asked_at, read, written, cached_or_thought in rows
    ]
    return pd.Series(usd, index=answers.index, dtype=np.float64)


def assemble(
    queries: pd.DataFrame,
    labels: Mapping[str, pd.DataFrame],
    answers: Mapping[str, pd.DataFrame],
    llms: Sequence[LLM],
    settings: params.Assemble,
    *,
    predefined: Mapping[str, str] | None = None,
    reliability: Mapping[params.Opinion, float] | None = None,
) -> Assembled:
    """The dataset of `llms` in their order, those that join by row last; those without a label are left out.

    predefined: the splits that queries came with. reliability: the weight of a label by its grader.
    Raises PipelineError where no LLM has a label.
    """
    in_pool = set(queries["query_id"])
    kept = {llm.id: labels[llm.id][labels[llm.id]["query_id"].isin(in_pool)] for llm in llms}
    roster = sorted((llm for llm in llms if len(kept[llm.id])), key=lambda llm: llm.trained == "row")
    if not roster:
        raise PipelineError(
            f"None of the {len(llms)} LLMs in the pool has a label.", next_step="Run `dvc repro`; see what `pipelines.answer` says."
        )
    meta = [priced(answers[llm.id], llm) for llm in roster]
    all_meta = pd.concat([part for part in meta if len(part)] or meta[:1], ignore_index=True)
    return Assembled(
        queries=queries.sort_values("query_id", ignore_index=True),
        labels=weighted(one_label_each(pd.concat([kept[llm.id] for llm in roster], ignore_index=True), queries), reliability or {}),
        answers=all_meta[all_meta["query_id"].isin(in_pool)].sort_values(["query_id", "llm"], ignore_index=True),
        splits=splits.assign(queries, settings, predefined or {}).sort_index().reset_index(),
        roster=tuple(
            RosterLLM(
                llm.id,
                llm.name,
                llm.status,
                llm.price.input,
                llm.price.output,
                trained=llm.trained,
                family=llm.family,
                served=llm.endpoint is not None,
            )
            for llm in roster
        ),
        unlabelled=tuple(llm.id for llm in llms if not len(kept[llm.id])),
    )


def write(assembled: Assembled, folder: Path) -> None:
    """Writes the tables and roster.json to `folder`; labels without a weight count in full."""
    labels = assembled.labels if "weight" in assembled.labels else weighted(assembled.labels, {})
    tables.write(folder / "queries.parquet", assembled.queries, tables.QUERIES)
    tables.write(folder / "labels.parquet", labels, WEIGHTED)
    tables.write(folder / "answers_meta.parquet", assembled.answers, ANSWERS_META)
    tables.write(folder / "splits.parquet", assembled.splits, tables.SPLITS)
    write_roster(folder / "roster.json", assembled.roster)


def read_own_ids(recorded: Path, queries: pd.DataFrame) -> pd.DataFrame:
    """What the owners of imported queries call those of `queries` (NAME.ids.parquet in `recorded`). Raises TableRefused."""
    parts = [tables.read(path, tables.OWN_IDS) for path in sorted(recorded.glob("*.ids.parquet"))]
    own_ids = pd.concat(parts, ignore_index=True) if parts else tables.OWN_IDS.empty_table().to_pandas()
    return own_ids[own_ids["query_id"].isin(list(queries["query_id"]))].drop_duplicates()


def require_splits(assembled: Assembled) -> None:
    """Raises PipelineError where a split that training or judging needs has no labelled query: before anything is embedded for it."""
    labels_of = assembled.labels.groupby("query_id")["llm"].nunique()
    split_of = assembled.splits.set_index("query_id")["split"].reindex(labels_of.index)
    to_choose = min(2, len(assembled.roster))  # labels without which there is no choice to judge
    for split, fewest in (("train", 1), ("validation", to_choose), ("test", to_choose)):
        if not ((split_of == split) & (labels_of >= fewest)).any():
            raise PipelineError(
                f"no query of the {split} split is labelled for {fewest} LLM{'s' if fewest > 1 else ''}.",
                next_step=f"Answer and label more of them, or import queries again with more marked {split} or with an empty split: "
                "these are cut by assemble.shares.",
            )


def left_training(assembled: Assembled, predefined: Mapping[str, str]) -> int:
    """How many queries that came for training are kept from it: another import or a near-duplicate has them farther from it."""
    split_of = assembled.splits.set_index("query_id")["split"]
    came = [query_id for query_id in split_of.index if predefined.get(query_id) == "train"]
    return int(split_of.loc[came].isin(["test", splits.OUT_OF_DOMAIN]).sum())


def main() -> None:
    """Reads the pool's tables; prints what the dataset holds."""
    settings = stage_settings()
    project = Project(settings.home)
    try:
        llms = pool.load(settings.pool_file).active
        parsed = params.load(project.params)
        queries = query_pool.read(project)
        labels, answers = {}, {}
        for llm in track(llms, "assemble", disable=not sys.stdout.isatty()):
            labels[llm.id] = tables.read(project.labels(llm.id), tables.LABELS)
            answers[llm.id] = tables.read_if_there(project.answers(llm.id), tables.ANSWERS)
        if parsed.validate_.leave_out_suspect:
            suspects = tables.read(project.suspects, tables.SUSPECTS)
            labels = _without_suspects(labels, queries, suspects)
        predefined = splits.read_predefined(project.recorded)
        assembled = assemble(
            queries,
            labels,
            answers,
            llms,
            parsed.assemble,
            predefined=predefined,
            reliability=parsed.label.reliability,
        )
        require_splits(assembled)
        write(assembled, project.dataset)
        tables.write(project.dataset / OWN_IDS_FILE, read_own_ids(project.recorded, queries), tables.OWN_IDS)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    counts = ", ".join(f"{count} {split}" for split, count in assembled.splits["split"].value_counts().items())
    if moved := left_training(assembled, predefined):
        print(f"{moved} queries that came for training stand, or almost, in a split farther from it too, and are kept there.")
    unlabelled = f"; no label yet, so left out: {', '.join(assembled.unlabelled)}" if assembled.unlabelled else ""
    print(
        f"{len(assembled.labels)} labels of {len(assembled.roster)} LLMs on {len(queries)} queries ({counts}){unlabelled}"
        f" -> {project.name_of(project.dataset)}"
    )


def _without_suspects(labels: Mapping[str, pd.DataFrame], queries: pd.DataFrame, suspects: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each LLM's labels but for those of suspect pairs; prints how many are left out."""
    kept = {llm: without_suspects(table, queries, suspects) for llm, table in labels.items()}
    count = sum(len(labels[llm]) - len(kept[llm]) for llm in labels)
    print(f"{count} labels of {len(suspects)} suspect LLM x dataset pairs are left out (validate.leave_out_suspect).")
    return kept


if __name__ == "__main__":
    main()
