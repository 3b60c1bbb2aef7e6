"""A small file of each format, as its tool writes it, with two or three calls that say everything the format can."""

import json
from pathlib import Path
from typing import Any

ASKED = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Capital of Norway?"}]
REPLY = {"choices": [{"message": {"role": "assistant", "content": "Oslo"}, "finish_reason": "stop"}]}

LITELLM = [
    {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "model": "gpt-4o-mini",
        "model_group": "chat",
        "custom_llm_provider": "openai",
        "spend": 0.0003,
        "prompt_tokens": 120,
        "completion_tokens": 30,
        "total_tokens": 150,
        "startTime": "2026-10-01T12:00:00.000Z",
        "completionStartTime": "2026-10-01T12:00:00.500Z",
        "endTime": "2026-10-01T12:00:02Z",
        "session_id": "s-1",
        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "cache_hit": "False",
        "request_tags": ["team-a"],
        "metadata": {
            "usage_object": {
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 10},
            }
        },
        "messages": ASKED,
        "response": REPLY,
        "status": "success",
    },
    {"request_id": "2", "model": "gpt-4o-mini", "spend": 0, "startTime": "2026-10-01 12:00:00", "status": "failure", "messages": {}},
    {"request_id": "3", "model": "text-embedding-3-small", "spend": 0.1, "call_type": "aembedding"},
    {"request_id": "4", "model": "gpt-4o-mini", "spend": 0.0, "cache_hit": "True"},
]
LANGFUSE = [
    {
        "id": "o-1",
        "traceId": "t-1",
        "sessionId": "s-1",
        "userId": "jane",
        "type": "GENERATION",
        "name": "answer",
        "model": "gpt-4o-mini",
        "input": ASKED,
        "output": {"role": "assistant", "content": "Oslo"},
        "startTime": "2026-10-01T12:00:00Z",
        "endTime": "2026-10-01T12:00:02Z",
        "completionStartTime": "2026-10-01T12:00:00.5Z",
        "usageDetails": {"input": 56, "input_cached_tokens": 64, "output": 20, "output_reasoning_tokens": 10, "total": 150},
        "totalCost": 0.0003,
    },
    {"id": "o-2", "traceId": "t-1", "type": "SPAN", "name": "search", "input": "x", "output": "y"},
    {"id": "o-3", "traceId": "t-2", "type": "GENERATION", "level": "ERROR", "model": "gpt-4o-mini", "input": ASKED, "output": None},
    {"id": "c-1", "name": "thumbs", "value": 1, "dataType": "BOOLEAN", "traceId": "t-1", "observationId": None},
]


def _attribute(key: str, value: Any) -> dict[str, Any]:
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": each} for each in value]}}}
    return {"key": key, "value": {kinds[type(value)]: str(value) if isinstance(value, int) else value}}


def _span(span_id: str, parent: str, told: dict[str, Any], events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "traceId": "5b8e",
        "spanId": span_id,
        "parentSpanId": parent,
        "name": "chat gpt-4o-mini",
        "startTimeUnixNano": "1790856000000000000",
        "endTimeUnixNano": "1790856002000000000",
        "attributes": [_attribute(key, value) for key, value in told.items()],
        "events": events or [],
        "status": {},
    }


_CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.cache_read.input_tokens": 64,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.reasoning.output_tokens": 10,
    "gen_ai.conversation.id": "s-1",
    "user.id": "jane",
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be short."}]),
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Capital of Norway?"}]}]),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Oslo"}], "finish_reason": "stop"}]),
}
_THUMB = {
    "name": "gen_ai.evaluation.result",
    "attributes": [_attribute("gen_ai.evaluation.name", "thumbs"), _attribute("gen_ai.evaluation.score.value", 1.0)],
}
OTLP = [
    {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute("service.name", "shop")]},
                "scopeSpans": [
                    {
                        "spans": [
                            _span("a0", "", {"gen_ai.operation.name": "chat", "gen_ai.request.model": "router"}),
                            _span("a1", "a0", _CALL, [_THUMB]),
                            _span("a2", "", {"gen_ai.operation.name": "execute_tool"}),
                            _span("a3", "", {"gen_ai.operation.name": "chat"}) | {"status": {"code": 2}},
                        ]
                    }
                ],
            }
        ]
    }
]
OPENAI_USAGE = [
    {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": 1790812800,
                "end_time": 1790899200,
                "results": [
                    {
                        "object": "organization.usage.completions.result",
                        "input_tokens": 1000,
                        "input_cached_tokens": 800,
                        "output_tokens": 500,
                        "num_model_requests": 5,
                        "model": "gpt-4o-mini-2024-07-18",
                        "api_key_id": "key_1",
                        "batch": True,
                        "service_tier": None,
                    },
                    {"input_tokens": 10, "output_tokens": 5, "num_model_requests": 1, "model": "gpt-4o", "batch": False},
                ],
            }
        ],
    }
]
ANTHROPIC_USAGE = [
    {
        "data": [
            {
                "starting_at": "2026-10-01T00:00:00Z",
                "ending_at": "2026-10-02T00:00:00Z",
                "results": [
                    {
                        "uncached_input_tokens": 100,
                        "cache_read_input_tokens": 800,
                        "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
                        "output_tokens": 500,
                        "model": "claude-sonnet-4-5-20250929",
                        "api_key_id": "apikey_1",
                        "service_tier": "standard",
                        "context_window": "0-200k",
                    }
                ],
            }
        ],
        "has_more": False,
    }
]
OPENROUTER = [
    {
        "data": {
            "id": "gen-1",
            "model": "anthropic/claude-3.5-haiku",
            "created_at": "2026-10-01T12:00:00.000Z",
            "total_cost": 0.0003,
            "usage": 0.0003,
            "tokens_prompt": 100,
            "native_tokens_prompt": 120,
            "native_tokens_completion": 30,
            "native_tokens_reasoning": 10,
            "native_tokens_cached": 64,
            "latency": 500,
            "generation_time": 2000,
            "provider_name": "Anthropic",
            "session_id": "s-1",
            "finish_reason": "stop",
            "cancelled": False,
        }
    },
    {
        "date": "2026-10-01",
        "model": "openai/gpt-4o-mini",
        "requests": 7,
        "prompt_tokens": 700,
        "completion_tokens": 70,
        "reasoning_tokens": 0,
        "usage": 0.02,
        "provider_name": "OpenAI",
    },
    {
        "id": "gen-2",
        "created": 1790856000,
        "model": "openai/gpt-4o-mini",
        **REPLY,
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}, "cost": 0.001},
    },
]
BATCH_REQUESTS = [
    {"custom_id": "q-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", "messages": ASKED}}
]
BATCH = [
    {
        "id": "batch_req_1",
        "custom_id": "q-1",
        "response": {
            "status_code": 200,
            "body": {
                "created": 1790856000,
                "model": "gpt-4o-mini-2024-07-18",
                **REPLY,
                "usage": {
                    "prompt_tokens": 120,
                    "completion_tokens": 30,
                    "prompt_tokens_details": {"cached_tokens": 64},
                    "completion_tokens_details": {"reasoning_tokens": 10},
                },
            },
        },
        "error": None,
    },
    {"id": "batch_req_2", "custom_id": "q-2", "response": {"status_code": 500, "body": {}}, "error": None},
]
SHAREGPT = [
    {
        "id": "c-1",
        "model": "vicuna-13b",
        "conversations": [
            {"from": "human", "value": "Capital of Norway?"},
            {"from": "gpt", "value": "Oslo"},
            {"from": "human", "value": "And of Kenya?"},
            {"from": "gpt", "value": "Nairobi"},
        ],
    },
    {"id": "c-2", "conversations": [{"from": "human", "value": "Anybody?"}]},
]
BENCH = {
    "performance": 0.5,
    "time_taken": 4.0,
    "records": [
        {
            "index": 1,
            "origin_query": "Capital of Norway?",
            "prompt": "Answer. Capital of Norway?",
            "prediction": "Oslo",
            "ground_truth": "Oslo",
            "score": 1.0,
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "cost": 0.00001,
            "raw_output": "It is Oslo",
        },
        {"index": 2, "origin_query": "Capital of Kenya?", "prediction": "?", "ground_truth": "Nairobi", "score": 0.0},
    ],
}
ROWS = {
    "litellm": LITELLM,
    "langfuse": LANGFUSE,
    "otlp": OTLP,
    "openai-usage": OPENAI_USAGE,
    "anthropic-usage": ANTHROPIC_USAGE,
    "openrouter": OPENROUTER,
    "openai-batch": [*BATCH_REQUESTS, *BATCH],
    "sharegpt": SHAREGPT,
}


def lines(rows: list[Any]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def written(folder: Path, name: str) -> list[Path]:
    """The sample of a format on disk: a file, or the folder that its tool writes."""
    if name == "opencompass":
        return [opencompass(folder)]
    if name == "llmrouterbench":
        return [llmrouterbench(folder)]
    path = folder / f"{name}.jsonl"
    path.write_text(lines(ROWS[name]))
    return [path]


def saved(path: Path, value: Any) -> Path:
    """`value` as JSON at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def llmrouterbench(folder: Path) -> Path:
    """Two LLMs on one data set, one of them twice."""
    root = folder / "results" / "bench"
    saved(root / "capitals" / "test" / "Qwen-7B" / "20260901_120000.json", {"records": []})
    saved(root / "capitals" / "test" / "Qwen-7B" / "20261001_120000.json", BENCH)
    wrong = [record | {"score": 1 - record["score"]} for record in BENCH["records"]]
    saved(root / "capitals" / "test" / "Llama-8B" / "20261001_120000.json", BENCH | {"records": wrong})
    return root


def turn(text: str) -> list[dict[str, str]]:
    """A prompt with an example before the question, as a chat template has it."""
    return [
        {"role": "HUMAN", "prompt": "Capital of France?"},
        {"role": "BOT", "prompt": "Paris"},
        {"role": "HUMAN", "prompt": text},
    ]


def opencompass(folder: Path) -> Path:
    """A run with each shape of `details`, an LLM's name with a slash, a split inference, replicas, an item that was skipped, and PPL."""
    run = folder / "outputs" / "default" / "20261001_120000"
    llm = "acme/chat-7b"
    asked = [turn("Capital of Norway?"), turn("Capital of Kenya?"), turn("Capital of Peru?")]
    rows = [
        {"origin_prompt": each, "prediction": f"say {at}", "gold": gold} for at, (each, gold) in enumerate(zip(asked, "ABC", strict=True))
    ]

    def keyed(items: list[dict[str, Any]]) -> dict[str, Any]:
        return {str(at): each for at, each in enumerate(items)}

    twice = [row | {"prediction": f"{row['prediction']} again"} for row in rows]
    saved(run / "predictions" / llm / "math.json", keyed([*rows, *twice]))
    grouped = [
        {"example_abbr": "math_0", "pred": ["a", "a"], "answer": ["a", "a"], "correct": [True, False]},
        {"example_abbr": "math_2", "pred": ["c", "c"], "answer": ["c", "c"], "correct": [True, True]},
    ]
    saved(run / "results" / llm / "math.json", {"accuracy": 75.0, "details": grouped})
    saved(run / "predictions" / llm / "trivia_0.json", keyed(rows[:2]))
    saved(run / "predictions" / llm / "trivia_1.json", keyed(rows[2:]))
    compared = {"type": "GEN"} | {
        str(at): {"prompt": "p", "origin_prediction": "o", "predictions": said, "references": right}
        for at, (said, right) in enumerate([("A", "A"), ("B", "C"), ("C", "C")])
    }
    saved(run / "results" / llm / "trivia.json", {"accuracy": 66.67, "details": compared})
    saved(run / "predictions" / llm / "open.json", keyed([row | {"origin_prompt": "Write."} for row in rows[:1]]))
    saved(
        run / "results" / llm / "open.json",
        {"score": 100.0, "details": {"0": {"origin_prompt": "?", "prediction": "Grade: A", "gold": ""}}},
    )
    saved(run / "predictions" / llm / "ungraded.json", keyed(rows))
    saved(run / "predictions" / llm / "ppl.json", {"0": {"label: A": {"testing input": "x", "PPL": 1.0}, "prediction": "A", "gold": "A"}})
    saved(run / "predictions" / "acme_judged-by--big" / "open.json", keyed(rows[:1]))
    (run / "predictions" / llm / "tmp_math.jsonl").write_text("{}")
    return run
