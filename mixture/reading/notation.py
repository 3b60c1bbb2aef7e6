r"""LaTeX, Markdown and Unicode brought to one plain notation, so that what follows reads `\frac12`, `½` and `1/2` as the same."""

import html
import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_COMMANDS: tuple[tuple[str, str], ...] = (
    (r"\\!", ""),
    (r"(?<=\d)\\[,;: ](?=\d)", " "),
    (r"\\[,;: ]|\\q?quad\b|(?<!\\)~(?=\d{3}\b)", " "),
    (r"~(?=[A-Za-z])", " "),
    (r"\\(?:left|right|displaystyle|bigl?|bigr?|limits)\b", ""),
    (r"\\[()\[\]]|\$\$", " "),
    (r"\\\$", "$"),
    (r"\\([%#&_])", r"\1"),
    (r"\\(?:times|cdot|ast)\b|[×·⋅∗]", "*"),
    (r"\\div\b|÷", "/"),
    (r"\\approx\b|\\sim\b|≈|∼|≃", "≈"),
    (r"\\pm\b|±", "±"),
    (r"\\leq?(?:slant)?\b|≤", "≤"),
    (r"\\geq?(?:slant)?\b|≥", "≥"),
    (r"\\lt\b", "<"),
    (r"\\gt\b", ">"),
    (r"\\neq?\b|≠", "≠"),
    (r"\\infty\b", "∞"),
    (r"\\pi\b", "π"),
    (r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b|˚|º", "°"),
    (r"\\(?:to|rightarrow|implies|Rightarrow|therefore)\b|⇒|∴", "→"),
    (r"\\[dtc]frac\b", r"\\frac"),
    (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
    (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
    (r"(\\frac\s*\{[^{}]*\})\s*(\d)", r"\1{\2}"),
    (r"\\sqrt\s*(\w)|√\s*(\d+|\w)", r"√(\1\2)"),
    (r"\\(?:mathbb|mathcal)\s*\{([^{}]*)\}", r"\1"),
)
_PLAIN = tuple((re.compile(pattern.replace(r"\b", "(?![A-Za-z])")), plain) for pattern, plain in _COMMANDS)
_STYLED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|bold(?:symbol)?|mbox|emph|operatorname|underline|hbox)\s*\*?\s*\{([^{}]*)\}"
)
_BOX = re.compile(r"\\f?boxed\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"(\d?)\s*\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_RAISED = re.compile(r"([\^_])\s*\{([^{}]*)\}")
_DEEPEST = 8  # nested commands; deeper ones stay as they are and are not read


def plain(text: str) -> str:
    """`text` in plain notation: no LaTeX commands, no bold, no full-width forms, ASCII digits, one minus sign.

    Fractions become `(a/b)`, after a digit ` a/b` (two and a half is `2 1/2`); powers `^(n)`; roots `√(n)`.
    """
    text = _unicode(html.unescape(text)).replace("{,}", ",")
    if "\\" in text or "√" in text or any(sign in text for sign in "×·⋅∗÷≈∼≃±≤≥≠˚º⇒∴"):
        for pattern, replacement in _PLAIN:
            text = pattern.sub(replacement, text)
        for _ in range(_DEEPEST):
            before = text
            for pattern, replacement in ((_STYLED, r" \1"), (_BOX, r"\1"), (_RAISED, r"\1(\2)"), (_ROOT, r"√(\1)")):
                text = pattern.sub(replacement, text)
            text = _FRACTION.sub(_fraction, text)
            if text == before:
                break
        text = text.replace("\\{", "{").replace("\\}", "}")
    text = _RAISED.sub(r"\1(\2)", text)
    text = re.sub(r"(?<=[\d)])\s?\*\*\s?(?=[\d(])", "^", text)
    return re.sub(r"\*\*|__|`", "", text)


def _fraction(match: re.Match[str]) -> str:
    """`(a/b)`, or ` a/b` after a digit."""
    digit, top, bottom = match.groups()
    if top.strip().isdigit() and bottom.strip().isdigit():
        return f"{digit} {top.strip()}/{bottom.strip()}" if digit else f"({top.strip()}/{bottom.strip()})"
    return f"{digit}(({top})/({bottom}))"


def _unicode(text: str) -> str:
    """One form for digits, signs, spaces and widths; raised digits become powers before they could become digits."""
    text = _SUPERSCRIPT.sub(lambda match: f"^({match[0].translate(_SUPERSCRIPTS)})", text)
    text = _SUBSCRIPT.sub(lambda match: f"_({unicodedata.normalize('NFKC', match[0])})", text)
    text = _VULGAR.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]).replace("⁄", "/"), text)
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("−", "-").replace("﹣", "-").replace("∕", "/")
    if text.isascii():
        return text
    text = "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text)
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")  # zero-width characters and marks of direction
    text = re.sub(r"(?<=\d)٬(?=\d)", ",", text)  # Arabic thousands, decimals
    text = re.sub(r"(?<=\d)٫(?=\d)", ".", text)
    return re.sub(r"(?<![^\W_])(?<![^\W_]\s)[–—](?=\d)", "-", text)  # a dash is a minus sign only where nothing stands before it
