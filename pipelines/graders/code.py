"""Finds the code of an answer: a fenced block or several, the whole of it, or the body that the prompt begins."""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixture.reading.thinking import spoken

LONGEST = 50_000  # characters; nothing that passes such tests is longer
_FENCED = re.compile(r"^[ \t]*(?:[-*+] |\d+[.)] )?[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1|\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Solution:
    """Code to be imported as it is written; `before` is what the prompt brings with it: its imports and other functions."""

    before: str
    source: str


def solution_of(answer: str, prompt: str, entry_point: str) -> Solution | None:
    """The first reading of `answer` that defines `entry_point`, or None."""
    text = spoken(answer).replace("\r\n", "\n")
    if len(text) > LONGEST:
        return None
    blocks = [textwrap.dedent(match[1]) for match in _FENCED.findall(text) if match[1].strip()]
    texts = [*_joined(blocks), *reversed(blocks), text, textwrap.dedent(text), _from_definition(text, entry_point)]
    before = before_of(prompt, entry_point)
    whole = (Solution(before, text) for text in texts if entry_point in text and _defines(text, entry_point))
    bodies = (body for text in texts for body in (text, textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")))
    continued = (f"{prompt.rstrip()}\n{body}" for body in bodies)
    return next(whole, None) or next((Solution("", text) for text in continued if _defines(text, entry_point)), None)


def before_of(prompt: str, entry_point: str) -> str:
    """What stands in `prompt` before the line that defines `entry_point`; "" where that is no code."""
    match = re.search(rf"^[ \t]*(?:async\s+)?(?:def|class)\s+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    before = re.sub(r"(?:^@.*\n)+\Z", "", prompt[: match.start()], flags=re.MULTILINE) if match else ""
    return before if _parsed(before) is not None else ""


def _joined(blocks: Sequence[str]) -> Iterator[str]:
    """All blocks that define something, as one: the function may be spread over them, and examples of use are not part of it."""
    kept = [block for block in blocks if (tree := _parsed(block)) is not None and any(_defining(step) for step in tree.body)]
    if len(kept) > 1:
        yield "\n\n".join(kept)


def _defining(step: ast.stmt) -> bool:
    return isinstance(step, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)


def _from_definition(answer: str, entry_point: str) -> str:
    """An unfenced answer's code: from its first import or definition to the last line that still belongs to code."""
    lines = answer.splitlines()
    starts = [at for at, line in enumerate(lines) if re.match(r"(?:from|import|def|class|async def)\b|@", line)]
    if not starts or not re.search(rf"\bdef\s+{re.escape(entry_point)}\b", answer):
        return ""
    ends = [at for at, line in enumerate(lines) if line[:1] in {" ", "\t"} or re.match(r"(?:from|import|def|class|async def)\b|@", line)]
    return "\n".join(lines[starts[0] : ends[-1] + 1])


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _defines(code: str, entry_point: str) -> bool:
    """Whether `code` is Python that binds `entry_point` to something: by `def`, an assignment or an import, also inside `if` or `try`."""
    tree = _parsed(code)
    bound = [step for step in _steps(tree.body) if entry_point in _names(step)] if tree else []
    return bool(bound) and not (isinstance(bound[-1], ast.FunctionDef | ast.AsyncFunctionDef) and _only_words(bound[-1].body))


def _steps(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements a module runs, those under `if`, `try`, `with` and loops too."""
    for step in body:
        yield step
        for name in ("body", "orelse", "finalbody"):
            if not isinstance(step, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _steps(getattr(step, name, []))
        yield from (inner for handler in getattr(step, "handlers", []) for inner in _steps(handler.body))


def _names(step: ast.stmt) -> set[str]:
    """The names a statement binds."""
    if isinstance(step, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {step.name}
    if isinstance(step, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in step.names}
    targets = step.targets if isinstance(step, ast.Assign) else [step.target] if isinstance(step, ast.AnnAssign) and step.value else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _only_words(body: Sequence[ast.stmt]) -> bool:
    """Whether a function does nothing but document itself."""
    return all(isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) for step in body)
