"""Grader `unit_tests`: the code of an answer passes the query's tests (reference: JSON of HumanEval's prompt, entry_point and test)."""

import ast
import re
import textwrap

from pipelines.graders.query import Query
from pipelines.graders.sandbox import passes

VERSION = "1"
TIMEOUT_S = 10.0
LONGEST = 50_000  # characters; nothing that passes such tests is longer
_FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)


def grade(answer: str, query: Query, timeout_s: float = TIMEOUT_S) -> float:
    """1 where the tests pass, 0 where they fail, crash or hang. Raises GraderFailed where the sandbox or the query is at fault."""
    reference = query.json_reference(dict)
    if not all(isinstance(reference.get(key), str) for key in ("prompt", "entry_point", "test")):
        raise query.failed(f"reference needs prompt, entry_point and test, has {sorted(reference)}")
    solution = solution_of(answer, reference["prompt"], reference["entry_point"])
    if solution is None:
        return 0.0
    return float(passes(f"{solution}\n\n{reference['test']}\n\ncheck({reference['entry_point']})\n", timeout_s))


def solution_of(answer: str, prompt: str, entry_point: str) -> str | None:
    """The first reading of `answer` that defines `entry_point`: a fenced block, the whole of it, or the body that `prompt` begins."""
    if len(answer) > LONGEST:
        return None
    blocks = [block for block in _FENCED.findall(answer) if block.strip()]
    texts = [*([("\n".join(blocks))] if len(blocks) > 1 else []), *reversed(blocks), answer, _from_definition(answer, entry_point)]
    before = prompt[: _start(prompt, entry_point)]  # imports and functions the prompt brings with it
    readings = [f"{before}\n{text}" for text in texts if re.search(rf"\bdef\s+{re.escape(entry_point)}\b", text)]
    bodies = [body for text in texts for body in (text, textwrap.indent(textwrap.dedent(text).strip("\n"), "    "))]
    readings += [f"{prompt.rstrip()}\n{body}" for body in bodies]
    return next((reading for reading in readings if _defines(reading, entry_point)), None)


def _start(prompt: str, entry_point: str) -> int:
    """Where the line that defines `entry_point` starts in `prompt`."""
    match = re.search(rf"^[ \t]*(?:async\s+)?def\s+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    return match.start() if match else 0


def _from_definition(answer: str, entry_point: str) -> str:
    """An unfenced answer's code: from its first import or definition to the last line that still belongs to code."""
    lines = answer.splitlines()
    starts = [at for at, line in enumerate(lines) if re.match(r"(?:from|import|def|class|@)\b|@", line)]
    if not starts or not re.search(rf"\bdef\s+{re.escape(entry_point)}\b", answer):
        return ""
    ends = [at for at, line in enumerate(lines) if line[:1] in {" ", "\t"} or re.match(r"(?:from|import|def|class)\b|@", line)]
    return "\n".join(lines[starts[0] : ends[-1] + 1])


def _defines(code: str, entry_point: str) -> bool:
    """Whether `code` is Python with a function `entry_point` whose body does something besides its docstring."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point]
    return bool(functions) and not all(isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) for step in functions[-1].body)
