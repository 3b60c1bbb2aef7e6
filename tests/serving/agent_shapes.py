"""Requests of coding agents, by shape: what their public documentation and sources say that they send; the words are ours.

codex: the shape of OpenAI's Codex CLI over responses: instructions, developer and environment messages, function and free-form tools,
reasoning items that are passed back, results with images, nothing stored. editor: the shape of agents in editors (Cline, Continue,
OpenCode) over chat completions: one long system text, many tools, results of tools, reminders inside user turns, images.
"""

from typing import Any

PNG = "data:image/png;base64,iVBORw0KGgo="
REMINDER = "<system-reminder>\nThe file src/app.py was changed by the user. Do not mention this.\n</system-reminder>"
ENVIRONMENT = (
    "<environment_context>\n  <cwd>/work/project</cwd>\n  <shell>bash</shell>\n  <sandbox>workspace-write</sandbox>\n</environment_context>"
)
LONG = "You are a coding agent. " + "Keep to the conventions of the project, and run its tests. " * 400


def _parameters(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": f"The {name}."} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


FUNCTIONS = {f"tool_{number}": _parameters("path", "content") for number in range(28)} | {
    "shell": _parameters("command", "workdir"),
    "update_plan": _parameters("plan", "explanation"),
    "view_image": _parameters("path"),
}


def codex(model: str) -> dict[str, Any]:
    """The third request of a task."""
    functions = [
        {"type": "function", "name": name, "description": f"Does {name}.", "strict": False, "parameters": parameters}
        for name, parameters in FUNCTIONS.items()
    ]
    patch = {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin hunk+ end"},
    }
    return {
        "model": model,
        "instructions": LONG,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Approval policy: on-request."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ENVIRONMENT}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Make the test pass."}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look first."}], "content": None, "encrypted_content": "x"},
            {"type": "function_call", "name": "shell", "arguments": '{"command":"ls","workdir":"."}', "call_id": "call_1"},
            {"type": "function_call", "name": "view_image", "arguments": '{"path":"a.png"}', "call_id": "call_2"},
            {"type": "function_call_output", "call_id": "call_1", "output": '{"output":"app.py\\n","metadata":{"exit_code":0}}'},
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_image", "image_url": PNG}]},
            {"type": "custom_tool_call", "status": "completed", "call_id": "call_3", "name": "apply_patch", "input": "*** Begin Patch"},
            {"type": "custom_tool_call_output", "call_id": "call_3", "output": "Success."},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is patched."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"{REMINDER}\nNow run the tests."}]},
        ],
        "tools": [functions[-1], *functions[:-1], patch],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199-session",
        "text": {"verbosity": "medium"},
    }


def editor(model: str) -> dict[str, Any]:
    """A turn with results of tools, a screenshot and a reminder."""
    functions = [
        {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": parameters}}
        for name, parameters in FUNCTIONS.items()
    ]
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": "shell", "arguments": '{"command":"ls","workdir":"."}'}}
        for number in range(3)
    ]
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": LONG},
            {
                "role": "user",
                "content": [{"type": "text", "text": "<task>Make the test pass.</task>"}, {"type": "text", "text": ENVIRONMENT}],
            },
            {"role": "assistant", "content": "", "tool_calls": calls},
            *({"role": "tool", "tool_call_id": call["id"], "content": "app.py\n" * 50} for call in calls),
            {"role": "assistant", "content": "I see.", "reasoning_content": "Look first."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": REMINDER},
                    {"type": "image_url", "image_url": {"url": PNG}},
                    {"type": "text", "text": "Now run the tests."},
                ],
            },
        ],
        "tools": functions,
        "tool_choice": "auto",
        "temperature": 0,
        "max_tokens": 8192,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
