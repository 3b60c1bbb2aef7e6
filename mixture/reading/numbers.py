r"""Quantities in a text, each read whole or not at all: `10^6` is a million, `x + 3` and `\sqrt{3}` are no number."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mixture.reading import literals
from mixture.reading.languages import any_of
from mixture.reading.notation import plain

Value = Fraction | str  # a time, a date or a ratio stays text

_TOKEN = re.compile(
    r"(?P<clock>\d+(?::\d+)+|\d{1,4}-\d{1,2}-\d{1,4}(?![-\d])|\d{1,2}/\d{1,2}/\d{2,4}(?![/\d]))"
    r"|(?P<number>\d{1,3}(?:\s\d{3})+(?![\d])(?:[.,]\d+)?(?![.,]?\d)|\d+(?:[.,'’_]\d+)*(?:[eE][-+]?\d+(?![A-Za-z\u00c0-\u04ff_\d]))?|\.\d+)"
    r"|(?P<word>[A-Za-z\u00c0-\u04ff]+(?:['’][A-Za-z\u00c0-\u04ff]+)*|[ぁ-ヿ]{2,}?(?=[\W\d]|で)|公里|千米|公斤|千克|厘米|毫米|小时|小時|時間|分钟|分鐘|퍼센트"
    r"|시간|미터|킬로미터|[^\W\d_])"  # scripts without spaces: a letter at a time, but for words that measure
    r"|(?P<sign>\S)"
)
_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
_ARROW = re.compile(r"[-=]+>")
_CALCULATOR = re.compile(r"<<[^<>]*>>")  # how grade-school datasets note a calculation
_CURRENCY = re.compile(r"(?:(?<![^\W_])(?:R|US|A|C|HK|NT|S))?\$|[€£¥₹₩₽₺₫฿₦]")
_COMPARISONS = "<>≤≥≠±"
_MINUS_WORD = re.compile(any_of("minus"), re.IGNORECASE)
_OPENING, _CLOSING = "([{", ")]}"
_MOST_DIGITS = 2_000
_FUNCTIONS = frozenset({"log", "ln", "lg", "sin", "cos", "tan", "exp", "sqrt", "mod", "gcd", "lcm", "arcsin", "arccos", "arctan"})
_MOST_OPERANDS = 100


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text: kind "number", "clock", "word" or "sign"; `glued` to the piece before it, without a space between."""

    kind: str
    text: str
    start: int
    end: int
    glued: bool


@dataclass(frozen=True, slots=True)
class Quantity:
    """What stands between `start` and `end`: its readings (a percentage has two), none where it cannot be read whole; its unit, or ""."""

    readings: tuple[Value, ...]
    unit: str
    start: int
    end: int


class _Unreadable(Exception):
    """An expression that is no one number."""


def prepared(text: str) -> str:
    """`text` in plain notation without currency signs and markup: what `quantities` indexes into."""
    text = _ARROW.sub("→", _MARKUP.sub(" ", _CALCULATOR.sub("", plain(text))))
    return _CURRENCY.sub(lambda sign: "" if sign.start() == 0 or text[sign.start() - 1] in " \n\t([+-" else " ", text)


def quantities(text: str, *, factorials: bool = False) -> list[Quantity]:
    """Every quantity of a `prepared` text in order; `factorials`: a `!` behind digits is no exclamation mark."""
    tokens = _tokens(text)
    results: list[Quantity] = []
    at = 0
    while at < len(tokens):
        if not _starts(tokens, at):
            at += 1
            continue
        reader = _Reader(tokens, at, factorials)
        results.append(reader.quantity())
        at = max(reader.at, at + 1)
    return results


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind, start = str(match.lastgroup), match.start()
        word = match[0]
        if kind == "word" and _MINUS_WORD.fullmatch(word) and re.match(r"\s*[\d(√.]", text[match.end() :]):
            kind, word = "sign", "~"  # a minus in words
        tokens.append(Token(kind, word, start, match.end(), bool(tokens) and tokens[-1].end == start))
    return tokens


def _starts(tokens: Sequence[Token], at: int) -> bool:
    """Whether a quantity begins at a token."""
    token = tokens[at]
    later = tokens[at + 1] if at + 1 < len(tokens) else None
    if token.kind in {"number", "clock"} or token.text in {"√", "π", "∞", "~"}:
        return True
    if later is None:
        return False
    if token.text in {"-", "+"} and later.glued and (later.kind == "number" or later.text in {"(", "√", "π"} or _variable(tokens, at + 1)):
        before = tokens[at - 1] if at and token.glued else None
        return before is None or not (before.kind in {"word", "number", "clock"} or before.text in {")", "]", "."})
    if token.text in _OPENING:
        return _bracketed(tokens, at)
    return _variable(tokens, at)


def _variable(tokens: Sequence[Token], at: int) -> bool:
    """Whether a single letter stands there that something is computed with: `x + 3`, `x^2`, `n!`; `A - no` is none."""
    token = tokens[at]
    if token.kind != "word" or len(token.text) != 1 or not token.text.isascii() or at + 1 >= len(tokens):
        return False
    operator = tokens[at + 1]
    if operator.text == "^" or (operator.kind == "number" and operator.glued):
        return True
    if operator.text not in {"+", "-", "*", "/"} or at + 2 >= len(tokens):
        return False
    operand = tokens[at + 2]
    return operator.glued == operand.glued and (
        operand.kind == "number" or operand.text == "(" or (operand.kind == "word" and len(operand.text) == 1)
    )


def _bracketed(tokens: Sequence[Token], at: int) -> bool:
    """Whether a bracket holds nothing but arithmetic or a list of numbers."""
    depth = 0
    digits = False
    for token in tokens[at:]:
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        digits = digits or token.kind == "number"
        if depth == 0:
            return digits
        if token.kind == "word" and token.text not in {"x", "X"}:
            return False
        if token.text not in _OPENING + _CLOSING and token.kind == "sign" and token.text not in "+-*/^!,;√%_":
            return False
    return False


class _Reader:
    """Reads one quantity from tokens, by recursive descent."""

    def __init__(self, tokens: Sequence[Token], at: int, factorials: bool) -> None:
        self.tokens, self.at, self.first, self.factorials = tokens, at, at, factorials
        self.depth = 0

    def quantity(self) -> Quantity:
        """The quantity that begins here, and everything that belongs to it."""
        try:
            self._refuse_context(self.first - 1)
            if self._text() in {"[", "{"} or (self._text() == "(" and self._is_list()):
                self._skip_brackets()
                return self._done((), "")
            if self.tokens[self.at].kind == "clock":
                self.at += 1
                time = literals.clock(self.tokens[self.at - 1].text)
                hours = (Fraction(time.removesuffix(":00")),) if re.fullmatch(r"\d\d?:00", time) else ()
                return self._done((time, *hours), "")
            value = self._notation()
            return self._with_unit(value)
        except (_Unreadable, ZeroDivisionError):
            self._skip_expression()
            return self._done((), "")

    def _done(self, readings: tuple[Value, ...], unit: str) -> Quantity:
        last = max(self.at - 1, self.first)
        return Quantity(readings, unit, self.tokens[self.first].start, self.tokens[last].end)

    def _text(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead].text if self.at + ahead < len(self.tokens) else ""

    def _token(self, ahead: int = 0) -> Token | None:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def _refuse_context(self, at: int) -> None:
        """Raises where a neighbour makes the number a bound or an argument: `x > 3`, `log 3`."""
        if 0 <= at < len(self.tokens) and (self.tokens[at].text in _COMPARISONS or self.tokens[at].text.lower() in _FUNCTIONS):
            raise _Unreadable

    def _notation(self) -> Fraction:
        """A number as it is noted down: alone, a fraction, or a multiple of a power of ten. What is still to be computed is none."""
        value = self._signed()
        operator = self._operator("*/xX+-")
        if operator == "/":
            value /= self._signed()
        elif operator in {"*", "x", "X"} and self._text() == "10" and self._text(1) == "^":
            value *= self._signed()
        elif operator is not None:
            raise _Unreadable
        follows = self._token()
        if self._operator("*/xX+-") is not None or (follows is not None and follows.glued and follows.text in {"(", "√", "π"}):
            raise _Unreadable
        return value

    def _operator(self, signs: str) -> str | None:
        """Takes the operator that stands here between two operands; `2-5` is a range and `5 - see` an aside: no operators."""
        token, operand = self._token(), self._token(1)
        if token is None or operand is None or token.text not in signs or token.kind == "number":
            return None
        if token.text in "+-" and (token.glued != operand.glued or (token.text == "-" and token.glued and operand.kind == "number")):
            return None
        if not (operand.kind == "number" or operand.text in {"(", "√", "π", "∞", "~", "-"} or self._letter(operand)):
            return None
        if token.text in "xX" and operand.kind != "number" and operand.text != "(":
            return None
        if self._letter(operand) and token.text == "/" and literals.unit(operand.text):
            return None
        self.at += 1
        return token.text

    @staticmethod
    def _letter(token: Token) -> bool:
        return token.kind == "word" and len(token.text) == 1 and token.text.isascii()

    def _signed(self) -> Fraction:
        self.depth += 1
        if self.depth > _MOST_OPERANDS:
            raise _Unreadable
        if self._text() in {"-", "~"}:
            self.at += 1
            return -self._signed()
        if self._text() == "+":
            self.at += 1
            return self._signed()
        return self._power()

    def _power(self) -> Fraction:
        base = self._atom()
        if self._text() == "!" and self._is_factorial():
            if base.denominator != 1 or not 0 <= base <= 200:
                raise _Unreadable
            self.at += 1
            base = Fraction(math.factorial(int(base)))
        if self._text() == "^":
            self.at += 1
            exponent = self._signed()
            digits = math.log10(max(abs(base.numerator), base.denominator)) * abs(float(exponent)) if abs(exponent) < 10**6 else math.inf
            if exponent.denominator != 1 or digits > _MOST_DIGITS:
                raise _Unreadable
            return base ** int(exponent)
        return base

    def _is_factorial(self) -> bool:
        mark, later = self._token(), self._token(1)
        return (
            self.factorials
            and mark is not None
            and mark.glued
            and not (later is not None and later.glued and later.kind in {"word", "number"})
        )

    def _atom(self) -> Fraction:
        token = self._token()
        if token is None:
            raise _Unreadable
        if token.kind == "number":
            return self._number()
        if token.text == "(":
            self.at += 1
            value = self._notation()
            if self._text() != ")":
                raise _Unreadable
            self.at += 1
            return value
        if token.text == "√":
            self.at += 1
            return _root(self._atom())
        raise _Unreadable

    def _number(self) -> Fraction:
        digits = re.sub(r"\s", " ", self.tokens[self.at].text)
        value = literals.literal(digits)
        self.at += 1
        if value is None:
            raise _Unreadable
        if self._text() == "_" and self._text(1) == "(":  # its base
            self.at += 2
            self._notation()
            if self._text() != ")":
                raise _Unreadable
            self.at += 1
        top, over, bottom = self._token(), self._text(1), self._token(2)
        is_mixed = digits.isdigit() and top is not None and top.kind == "number" and top.text.isdigit() and not top.glued and over == "/"
        if is_mixed and top is not None and bottom is not None and bottom.text.isdigit() and 0 < int(top.text) < int(bottom.text):
            self.at += 3
            return value + Fraction(int(top.text), int(bottom.text))
        return value

    def _with_unit(self, value: Fraction) -> Quantity:
        """The value with the words of size, the percent sign or the unit behind it; other letters glued to digits are variables."""
        token = self._token()
        glued_letter = token is not None and token.kind == "word" and token.glued
        if token is not None and token.kind == "word":
            if token.text in {"M", "K", "B"} and glued_letter:
                self.at += 1
                return self._done((value * {"K": 10**3, "M": 10**6, "B": 10**9}[token.text],), "")
            power = literals.size(token.text) if literals.unit(token.text) is None or token.text != "mm" else None
            if power is not None and (glued_letter or len(token.text) > 1):
                self.at += 1
                return self._with_unit(value * 10**power)
        if token is not None and (token.text in {"%", "‰"} or (token.kind == "word" and self._percent())):
            self.at += 1
            share = value / (1000 if token.text == "‰" else 100)
            return self._done((value, share), "%")
        unit = self._unit()
        token = self._token()
        if unit == "" and token is not None and token.kind == "word" and token.glued:
            if literals.is_ordinal(token.text):
                self.at += 1
            elif token.text[0].isascii() or token.text[0] in "πθαβγλμσφω":
                raise _Unreadable
        if token is not None and (token.text in {"π", "√", "∞", "^"} or (token.text == "\\" and self._text(1).isalpha())):
            raise _Unreadable
        self._refuse_context(self.at)
        return self._done((value,), unit)

    def _percent(self) -> bool:
        token, later = self._token(), self._token(1)
        if token is None:
            return False
        if literals.is_percent(token.text):
            return True
        if later is not None and (token.text.lower(), later.text.lower()) in {
            ("per", "cent"),
            ("pour", "cent"),
            ("por", "ciento"),
            ("por", "cento"),
            ("per", "cento"),
        }:
            self.at += 1
            return True
        return False

    def _unit(self) -> str:
        """Takes a unit with its power or its "per": `cm^2`, `km/h`; "" where there is none."""
        if self._text() == "°":
            self.at += 1
            if self._text() in {"C", "F"}:
                self.at += 1
            return "°"
        named = ""
        while (token := self._token()) is not None and token.kind == "word" and (symbol := literals.unit(token.text)) is not None:
            if not token.glued and len(token.text) == 1 and self._text(1) in {"+", "=", "^"} and self._text(1) != "^":
                break
            self.at += 1
            named += symbol
            if self._text() == "^":
                self.at += 1
                named += "^" + self._text().replace("(", "") + (self._text(1) if self._text() == "(" else "")
                self.at += 3 if self._text() == "(" else 1
            if self._text() == "/" and literals.unit(self._text(1)) is not None:
                self.at += 1
                named += "/"
                continue
            break
        return named

    def _is_list(self) -> bool:
        depth = 0
        for token in self.tokens[self.at :]:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            if depth == 0:
                return False
            if token.text in {",", ";"}:
                return True
        return False

    def _skip_brackets(self) -> None:
        depth = 0
        while (token := self._token()) is not None:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            self.at += 1
            if depth == 0:
                return

    def _skip_expression(self) -> None:
        """Goes behind everything that belongs to an expression which cannot be read."""
        self.at = max(self.at, self.first)
        while (token := self._token()) is not None:
            is_math = token.kind == "number" or token.text in set("+*/^()√π∞_!%-") or self._letter(token)
            if not is_math or (token.text == "-" and not token.glued and self._text(1)[:1].isalpha() and len(self._text(1)) > 1):
                return
            self.at += 1


def _root(value: Fraction) -> Fraction:
    """The square root of a square; raises where it is irrational."""
    if value < 0:
        raise _Unreadable
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top != value.numerator or bottom * bottom != value.denominator:
        raise _Unreadable
    return Fraction(top, bottom)
