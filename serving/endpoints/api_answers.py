"""What the answers of this API look like, as JSON Schema: what a client may rely on; more may stand beside it."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": "number"}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
TRUTH: Schema = {"type": "boolean"}
ANY: Schema = {}
TREE: Schema = {"type": "object"}


def fields(**properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "required": sorted(properties), "properties": properties}


def many(items: Schema) -> Schema:
    """A list of them."""
    return {"type": "array", "items": items}


def mapping(values: Schema) -> Schema:
    """An object of any names."""
    return {"type": "object", "additionalProperties": values}


def one_of(*values: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(values)}


FACTS = fields(
    decision_id=TEXT,
    scorer_version=MAYBE_TEXT,
    llm=MAYBE_TEXT,
    asked=many(TEXT),
    layers=COUNT,
    aggregation=TEXT,
    stopped_because=TEXT,
    cost_usd=MAYBE_NUMBER,
    unsettled_usd=NUMBER,
    energy_kwh=MAYBE_NUMBER,
    latency_s=NUMBER,
)
CHAT_COMPLETION = fields(
    id=TEXT,
    object=one_of("chat.completion"),
    created=COUNT,
    model=TEXT,
    choices=many(fields(index=COUNT, message=TREE, finish_reason=MAYBE_TEXT)),
    usage=fields(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT),
    routemoa=FACTS,
)
RESPONSE = fields(
    id=TEXT,
    object=one_of("response"),
    status=one_of("completed", "incomplete"),
    model=TEXT,
    output=many(fields(type=TEXT)),
    usage={"type": ["object", "null"]},
)
MESSAGE = fields(
    id=TEXT,
    type=one_of("message"),
    role=one_of("assistant"),
    model=TEXT,
    content=many(fields(type=TEXT)),
    stop_reason=MAYBE_TEXT,
    usage=fields(input_tokens=COUNT, output_tokens=COUNT),
)
TOKENS = fields(input_tokens=COUNT)
MESSAGES_ERROR = fields(type=one_of("error"), error=fields(type=TEXT, message=TEXT), request_id=TEXT)
EMBEDDINGS = fields(object=one_of("list"), data=many(fields(index=COUNT, embedding=ANY)))
COMPLETION = fields(choices=many(fields(text=TEXT)))
DELETED = fields(id=TEXT, object=one_of("response"), deleted=TRUTH)
MODEL = fields(id=TEXT, object=one_of("model"), created=COUNT, owned_by=TEXT, description=TEXT)
MODELS = fields(object=one_of("list"), data=many(MODEL))
RANKED = fields(
    llm=TEXT,
    score=NUMBER,
    value=NUMBER,
    cost_usd=NUMBER,
    latency_s=MAYBE_NUMBER,
    energy_kwh=MAYBE_NUMBER,
    chosen=TRUTH,
    stepped_over=TRUTH,
    propensity=NUMBER,
)
ROUTE = fields(
    model=TEXT,
    scorer_version=TEXT,
    scored_characters=COUNT,
    chosen=many(TEXT),
    ranked=many(RANKED),
    exploration=fields(share=NUMBER, delta=NUMBER, why_not=MAYBE_TEXT),
    excluded=mapping(TEXT),
    scores=mapping(NUMBER),
    options=TREE,
    strategy=TREE,
    explanation=TEXT,
)
RECORD = fields(id=TEXT, created_at=NUMBER, virtual_model=TEXT, status=TEXT, cost_usd=MAYBE_NUMBER, decision=TREE)
OUTCOME = fields(decision_id=TEXT, score=NUMBER, source=TEXT)
AUDIT = fields(decision_id=TEXT, created_at=NUMBER, llm=MAYBE_TEXT, promised=MAYBE_NUMBER, probability=MAYBE_NUMBER, why=many(TEXT))
AUDITS = fields(waiting=COUNT, not_kept=COUNT, audits=many(AUDIT))
GRADED = fields(decision_id=TEXT, score=NUMBER, graded_by=MAYBE_TEXT, opinions=many(TREE), waiting=COUNT)
SKIPPED = fields(decision_id=TEXT, skipped=TRUTH)
LLM = fields(id=TEXT, name=TEXT, status=one_of("candidate", "active", "retired"), uncallable=MAYBE_TEXT, in_roster=TRUTH)
LLMS = fields(llms=many(LLM), not_in_pool=many(TEXT))
JOB = fields(
    id=TEXT,
    kind=TEXT,
    arguments=TREE,
    state=TEXT,
    step=TEXT,
    progress=NUMBER,
    created_at=NUMBER,
    started_at=MAYBE_NUMBER,
    ended_at=MAYBE_NUMBER,
    error=MAYBE_TEXT,
    log=TEXT,
)
JOBS = fields(jobs=many(JOB))
ADDED = fields(llm=TREE, job=JOB, asking={"type": ["object", "null"]})
SCORER = fields(version=MAYBE_TEXT, roster=many(TEXT), refused=MAYBE_TEXT, in_flight=COUNT, events=many(TREE))
BESIDE = fields(version=MAYBE_TEXT, champion=MAYBE_TEXT, refused=MAYBE_TEXT)
VERDICT = fields(verdict=MAYBE_TEXT)
ALIVE = fields(status=one_of("alive"))
READY = fields(status=one_of("ready"), scorer_version=TEXT, llms=COUNT)
ERROR = fields(error=fields(message=TEXT, type=TEXT, param=MAYBE_TEXT, code=MAYBE_TEXT))
