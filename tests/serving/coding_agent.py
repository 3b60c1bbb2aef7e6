"""What a coding agent of Anthropic's dialect sends, by shape: the fields, sizes and order of its requests.

A check of the key with one token, a title from a small side model in structured output, counts of tokens, then the work: large system
blocks and the last turn marked for the cache, dozens of tools, reminders of the harness inside user turns, results with marks and errors.
"""

from typing import Any

KEPT = {"type": "ephemeral"}
KEPT_LONG = {"type": "ephemeral", "ttl": "1h"}
BETAS = ["claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27"]
USER = "user_" + "a" * 64 + "_account_" + "b" * 36 + "_session_11111111-2222-4333-8444-555555555555"
NAMES = ("Task", "Bash", "Glob", "Grep", "Read", "Edit", "Write", "NotebookEdit", "WebFetch", "TodoWrite", "WebSearch", "BashOutput")
QUESTION = "Why does the parser test fail? Fix it."
REMINDER = "<system-reminder>\nThe list of todos is empty. Do not mention this to the user.\n</system-reminder>"
CONTEXT = "<system-reminder>\n# CLAUDE.md\n" + "Write plain code. See https://example.org/style.\n" * 40 + "</system-reminder>"
SYSTEM = [
    {"type": "text", "text": "x-billing-header: cc_version=2.1.0; cc_entrypoint=cli;"},
    {"type": "text", "text": "You are a coding agent in a terminal.", "cache_control": KEPT_LONG},
    {"type": "text", "text": "# Tone\nBe short.\n" + "- Prefer editing files to creating them.\n" * 300, "cache_control": KEPT_LONG},
    {"type": "text", "text": "<env>\nWorking directory: /home/dev/project\nIs directory a git repo: Yes\n</env>"},
]


def tools() -> list[dict[str, Any]]:
    """The built-in ones and those of servers of tools; schemas name their dialect by its address, which is text here."""
    names = [*NAMES, *(f"mcp__server{at}__query" for at in range(24))]
    return [
        {
            "name": name,
            "description": f"{name}: " + "Use it when it is the right one. " * 40,
            "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"path": {"type": "string", "description": "absolute"}, "limit": {"type": "integer"}},
                "required": ["path"],
                "additionalProperties": False,
            },
            "eager_input_streaming": True,
        }
        for name in names
    ]


def shared(**fields: Any) -> dict[str, Any]:
    """What every request has."""
    return {"metadata": {"user_id": USER}, **fields}


def check_of_the_key(model: str) -> dict[str, Any]:
    """Before anything else."""
    return shared(model=model, max_tokens=1, messages=[{"role": "user", "content": "quota"}])


def title(model: str) -> dict[str, Any]:
    """From a small model, beside the work."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"], "additionalProperties": False}
    return shared(
        model=model,
        max_tokens=512,
        system=[{"type": "text", "text": "Write a title of the conversation."}],
        messages=[{"role": "user", "content": [{"type": "text", "text": f"<session>\n{QUESTION}\n</session>"}]}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
        tools=[],
        stream=True,
    )


def first_turn() -> dict[str, Any]:
    """The user's words with what the harness puts beside them."""
    blocks = [
        {"type": "text", "text": CONTEXT},
        {"type": "text", "text": QUESTION},
        {"type": "text", "text": REMINDER, "cache_control": KEPT},
    ]
    return {"role": "user", "content": blocks}


def results(calls: list[tuple[str, str]]) -> dict[str, Any]:
    """A turn of results, one of them an error, the last marked, and a reminder after them."""
    blocks: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": call, "content": f"{text}\n" * 20, "is_error": at % 2 == 1}
        for at, (call, text) in enumerate(calls)
    ]
    blocks[-1]["cache_control"] = KEPT
    return {"role": "user", "content": [*blocks, {"type": "text", "text": REMINDER}]}


def work(model: str, messages: list[Any]) -> dict[str, Any]:
    """A request for the next step."""
    return shared(
        model=model,
        max_tokens=32000,
        system=SYSTEM,
        messages=messages,
        tools=tools(),
        thinking={"type": "adaptive"},
        output_config={"effort": "medium"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        stream=True,
    )
