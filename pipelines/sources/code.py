"""Generated coding queries: what a snippet prints (checked by having run it) and small functions with unit tests."""

import random
from collections.abc import Iterator
from pathlib import Path

from pipelines.sources.row import SourceQuery, packed

SEED = 20260102
FUNCTIONS = Path(__file__).with_name("functions.yaml")
WORDS = ("router", "python", "banana", "window", "garden", "silver", "planet", "coffee", "mirror", "bottle")


def rows() -> Iterator[SourceQuery]:
    """About 80 snippets and 40 functions."""
    dice = random.Random(SEED)
    for position in range(88):
        snippet, printed = _snippet(dice, position)
        grader = "number" if printed.lstrip("-").isdigit() else "exact"
        yield SourceQuery("code-output", "coding", f"What does this Python code print?\n{snippet}", grader, printed)
    yield from _functions()


def _functions() -> Iterator[SourceQuery]:
    from ruamel.yaml import YAML

    for function in YAML(typ="safe").load(FUNCTIONS):
        text = f"Write a Python function {function['name']}({function['arguments']}) that {function['does']}."
        test = "\n".join(["def check(candidate):", *(f"    assert {line}" for line in function["asserts"])])
        yield SourceQuery(
            "small-functions", "coding", text, "unit_tests", packed({"prompt": "", "entry_point": function["name"], "test": test})
        )


def _snippet(dice: random.Random, position: int) -> tuple[str, str]:
    """A snippet and what it prints; the value is computed beside it, in the same words."""
    numbers = [dice.randint(1, 20) for _ in range(5)]
    word, a, b = dice.choice(WORDS), dice.randint(2, 9), dice.randint(2, 9)
    forms: tuple[tuple[str, object], ...] = (
        (f"print({a} + {b} * 2)", a + b * 2),
        (f"print(len('{word}'))", len(word)),
        (f"print('{word}'[::-1])", word[::-1]),
        (f"print({a * b + 1} % {b})", (a * b + 1) % b),
        (f"print(sum({numbers}))", sum(numbers)),
        (f"print(sorted({numbers})[1])", sorted(numbers)[1]),
        (f"print('{word}'.upper())", word.upper()),
        (f"print({a * 7} // {b})", a * 7 // b),
        (f"x = {a}\nfor i in range({b}):\n    x += i\nprint(x)", a + sum(range(b))),
        (f"print(len([n for n in {numbers} if n > 10]))", sum(n > 10 for n in numbers)),
        (f"def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nprint(f({a}))", _fibonacci(a)),
        (f"print('{word}'.replace('{word[0]}', '{word[-1]}'))", word.replace(word[0], word[-1])),
        (f"d = {{'a': {a}, 'b': {b}}}\nd['a'] += d['b']\nprint(d['a'])", a + b),
        (f"print('-'.join(list('{word[:4]}')))", "-".join(word[:4])),
        (f"x = {numbers}\nx.append({a})\nprint(x[-2])", numbers[-1]),
        (f"print(max({numbers}) - min({numbers}))", max(numbers) - min(numbers)),
        (f"n = {a * b}\nc = 0\nwhile n > 1:\n    n //= 2\n    c += 1\nprint(c)", (a * b).bit_length() - 1),
        (f"print('{word}'.count('{word[1]}'))", word.count(word[1])),
        (f"print({a} ** 2 - {b})", a**2 - b),
        (f"print(list(range({a}, {a + 3 * b}, {b})))", list(range(a, a + 3 * b, b))),
        (f"print({a} > {b})", a > b),
        (f"print('{word}'[{a % 3}:{a % 3 + 3}])", word[a % 3 : a % 3 + 3]),
    )
    snippet, printed = forms[position % len(forms)]
    return snippet, str(printed)


def _fibonacci(n: int) -> int:
    before, now = 0, 1
    for _ in range(n):
        before, now = now, before + now
    return before
