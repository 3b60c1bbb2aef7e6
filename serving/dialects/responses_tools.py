"""Tools of OpenAI's responses as tools of a chat: functions are flat there, and free-form ones are functions of one text."""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.errors import RequestRefused

CHOICES = frozenset({"auto", "none", "required"})
FREE_FORM = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"], "additionalProperties": False}


def in_chat(tools: Sequence[Mapping[str, Any]], *, lenient: bool) -> list[dict[str, Any]]:
    """The tools. lenient: those that an endpoint runs by itself pass as they are. Raises RequestRefused naming the tool."""
    return [_in_chat(tool, f"tools.{at}", lenient=lenient) for at, tool in enumerate(tools)]


def _in_chat(tool: Mapping[str, Any], where: str, *, lenient: bool) -> dict[str, Any]:
    kind, name = tool.get("type"), tool.get("name")
    if kind not in ("function", "custom"):  # a set could not say so of a list
        if lenient and isinstance(kind, str):
            return dict(tool)
        what = f"{where}.type: tools of type {kind!r} are run by an endpoint, and this request may reach one that does not."
        next_step = "Offer functions, or name an LLM whose pool entry has `responses` among endpoint.dialects."
        raise RequestRefused(what, next_step=next_step, param=f"{where}.type")
    if not isinstance(name, str) or not name:
        raise RequestRefused(f"{where}.name: is missing.", next_step="Name the tool.", param=f"{where}.name")
    if kind == "custom":
        return {"type": "function", "function": {"name": name, "description": _description(tool), "parameters": FREE_FORM}}
    kept = ("description", "parameters", "strict")
    return {"type": "function", "function": {"name": name, **{each: tool[each] for each in kept if tool.get(each) is not None}}}


def _description(tool: Mapping[str, Any]) -> str:
    """With the grammar of its input, which nothing else tells the LLM."""
    form = tool.get("format")
    grammar = form.get("definition") if isinstance(form, Mapping) else None
    parts = (tool.get("description"), "Its whole input is one text, `input`.", grammar and f"That keeps to this grammar:\n{grammar}")
    return "\n".join(str(part) for part in parts if part)


def free_form(tools: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The names of the tools whose calls are told as `custom_tool_call`."""
    return frozenset(str(tool.get("name")) for tool in tools if tool.get("type") == "custom")


def choice_in_chat(choice: str | Mapping[str, Any], *, lenient: bool) -> str | dict[str, Any]:
    """`tool_choice`. Raises RequestRefused for one that is none."""
    if isinstance(choice, str):
        if choice in CHOICES:
            return choice
    elif choice.get("type") in ("function", "custom") and isinstance(choice.get("name"), str):
        return {"type": "function", "function": {"name": choice["name"]}}
    elif choice.get("type") == "allowed_tools" and isinstance(choice.get("tools"), list):
        named = [{"type": "function", "function": {"name": each.get("name")}} for each in choice["tools"] if isinstance(each, dict)]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": named}}
    elif lenient:
        return dict(choice)
    next_step = "Give auto, none, required, or a function by its name."
    raise RequestRefused("tool_choice: is no choice among the tools.", next_step=next_step, param="tool_choice")
