"""Generated mathematics with a number as the answer: arithmetic, word problems, sequences, equations, divisibility, geometry, units."""

import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction

from pipelines.sources.row import SourceQuery

NAMES = (
    "Ana",
    "Ben",
    "Chloe",
    "Daniel",
    "Emma",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
    "Mina",
    "Noah",
    "Olga",
    "Priya",
)
THINGS = ("apples", "pencils", "marbles", "stickers", "books", "cookies", "coins", "stamps", "shells", "cards")
Made = tuple[str, float | int]
SEED = 20260101


def rows() -> Iterator[SourceQuery]:
    """About 300 problems, every kind from easy to hard."""
    kinds: tuple[tuple[str, int, Callable[[random.Random, int], Made]], ...] = (
        ("arithmetic", 40, _arithmetic),
        ("word-problems", 90, _word_problem),
        ("sequences", 35, _sequence),
        ("equations", 35, _equation),
        ("divisibility", 30, _divisibility),
        ("fractions", 30, _fraction),
        ("geometry", 25, _geometry),
        ("units", 20, _units),
    )
    for dataset, count, make in kinds:
        dice = random.Random(f"{SEED}-{dataset}")
        for position in range(count):
            text, answer = make(dice, position)
            yield SourceQuery(dataset, "mathematics", text, "number", _plain(answer))


def _plain(value: float) -> str:
    """A number without a needless decimal part."""
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}".rstrip("0")


def _arithmetic(dice: random.Random, position: int) -> Made:
    top = (20, 100, 1000)[position % 3]
    a, b, c = dice.randint(2, top), dice.randint(2, top), dice.randint(2, 12)
    forms: tuple[Made, ...] = (
        (f"What is {a} + {b}?", a + b),
        (f"Compute {a + b} - {b}.", a),
        (f"What is {a} * {c}?", a * c),
        (f"What is {a * c} / {c}?", a),
        (f"Evaluate {a} + {b} * {c}.", a + b * c),
        (f"Evaluate ({a} - {b}) * {c}.", (a - b) * c),
        (f"What is the remainder when {a * c + b % c} is divided by {c}?", (a * c + b % c) % c),
    )
    return forms[position % len(forms)]


def _word_problem(dice: random.Random, position: int) -> Made:
    first, second = dice.sample(NAMES, 2)
    thing = dice.choice(THINGS)
    a, b, c = dice.randint(12, 60), dice.randint(3, 11), dice.randint(2, 9)
    price, hours, speed = dice.randint(2, 15), dice.randint(2, 9), dice.choice((40, 50, 60, 70, 80, 90))
    percent, base = dice.choice((10, 20, 25, 50)), 20 * dice.randint(2, 30)
    forms: tuple[Made, ...] = (
        (f"{first} has {a} {thing} and gives {b} of them to {second}. How many {thing} does {first} have left?", a - b),
        (f"{first} buys {c} boxes with {b} {thing} in each. How many {thing} is that in total?", b * c),
        (f"{first} has {a} {thing}. {second} has {b} more than {first}. How many {thing} do they have together?", 2 * a + b),
        (f"{b * c} {thing} are shared equally among {c} children. How many does each child get?", b),
        (f"A book costs ${price}. {first} buys {c} books and pays with a $200 note. How many dollars of change are due?", 200 - price * c),
        (f"A train travels at {speed} km per hour for {hours} hours. How many kilometres does it travel?", speed * hours),
        (f"A shirt costs ${base}. It is reduced by {percent} percent. What is the new price in dollars?", base * (100 - percent) / 100),
        (f"{first} is {a} years old. {second} is {c} times as old. How many years older is {second}?", a * (c - 1)),
        (
            f"{first} reads {b} pages a day for {c} days and then {price} pages a day for {hours} days. How many pages are read?",
            b * c + price * hours,
        ),
        (
            f"{first} had some {thing}, bought {b} more, gave {c} to {second} and now has {a}. How many were there at the start?",
            a - b + c,
        ),
        (
            f"A tank holds {a * c} litres. A pump empties {c} litres per minute. After {b} minutes, how many litres remain?",
            a * c - c * b,
        ),
        (
            f"{first} earns ${price} an hour and works {hours} hours a day, {c} days a week. How many dollars is that in 4 weeks?",
            price * hours * c * 4,
        ),
    )
    return forms[position % len(forms)]


def _sequence(dice: random.Random, position: int) -> Made:
    start, step, ratio = dice.randint(1, 20), dice.randint(2, 12), dice.choice((2, 3))
    kind = position % 5
    if kind == 0:
        terms = [start + step * i for i in range(7)]
    elif kind == 1:
        terms = [(start % 5 + 1) * ratio**i for i in range(6)]
    elif kind == 2:
        terms = [(start + i) ** 2 for i in range(6)]
    elif kind == 3:
        terms = [start, start + step]
        while len(terms) < 8:
            terms.append(terms[-1] + terms[-2])
    else:
        terms = [200 + start - step * i for i in range(7)]
    return f"What number comes next? {', '.join(map(str, terms[:-1]))}, ...", terms[-1]


def _equation(dice: random.Random, position: int) -> Made:
    x, a, b, c = dice.randint(2, 15), dice.randint(2, 9), dice.randint(1, 30), dice.randint(10, 19)
    forms: tuple[Made, ...] = (
        (f"Solve for x: x + {b} = {x + b}", x),
        (f"Solve for x: {a}x = {a * x}", x),
        (f"Solve for x: {a}x + {b} = {a * x + b}", x),
        (f"Solve for x: {c}x + {b} = {a}x + {(c - a) * x + b}", x),
        (f"If x is positive and x^2 = {x * x}, what is x?", x),
        (f"If f(x) = {a}x + {b}, what is f({x})?", a * x + b),
        (f"The sum of two numbers is {x + b + x} and their difference is {b}. What is the smaller number?", x),
    )
    return forms[position % len(forms)]


def _divisibility(dice: random.Random, position: int) -> Made:
    a, b, c = dice.randint(2, 9), dice.randint(2, 9), dice.randint(3, 12)
    n = dice.randint(20, 60)
    forms: tuple[Made, ...] = (
        (f"What is the greatest common divisor of {a * c} and {b * c}?", math.gcd(a * c, b * c)),
        (f"What is the least common multiple of {a} and {c}?", math.lcm(a, c)),
        (f"How many divisors does {n} have?", sum(n % d == 0 for d in range(1, n + 1))),
        (f"What is the smallest prime number greater than {n}?", next(p for p in range(n + 1, 2 * n) if all(p % d for d in range(2, p)))),
        (f"What is the sum of the digits of {n * 137}?", sum(map(int, str(n * 137)))),
        (f"What is {a} to the power of 3?", a**3),
    )
    return forms[position % len(forms)]


def _fraction(dice: random.Random, position: int) -> Made:
    part, whole, many = dice.randint(1, 4), dice.choice((5, 8, 10)), dice.randint(2, 20)
    percent = dice.choice((5, 10, 15, 20, 25, 40, 75))
    decimal = Fraction(part, whole)
    forms: tuple[Made, ...] = (
        (f"What is {part}/{whole} of {whole * many}?", part * many),
        (f"What is {percent}% of {20 * many}?", percent * 20 * many / 100),
        (f"Write {decimal.numerator}/{decimal.denominator} as a decimal number.", float(decimal)),
        (f"{part * many} is what percentage of {10 * many}?", part * 10),
        (f"What is {part / 10:g} + {many / 10:g}?", (part + many) / 10),
        (f"What is the average of {many}, {many + 2 * part} and {many + 4 * part}?", many + 2 * part),
    )
    return forms[position % len(forms)]


def _geometry(dice: random.Random, position: int) -> Made:
    a, b, c = dice.randint(3, 15), dice.randint(3, 15), dice.randint(2, 9)
    angle = dice.randint(30, 80)
    forms: tuple[Made, ...] = (
        (f"A rectangle is {a} cm long and {b} cm wide. What is its area in square centimetres?", a * b),
        (f"A rectangle is {a} cm long and {b} cm wide. What is its perimeter in centimetres?", 2 * (a + b)),
        (f"A triangle has a base of {2 * a} cm and a height of {b} cm. What is its area in square centimetres?", a * b),
        (f"A right triangle has legs of {3 * c} and {4 * c}. How long is the hypotenuse?", 5 * c),
        (f"A box measures {a} by {b} by {c} cm. What is its volume in cubic centimetres?", a * b * c),
        (f"Two angles of a triangle are {angle} and 60 degrees. How many degrees is the third?", 120 - angle),
        (f"The side of a square is {a} cm. What is its area in square centimetres?", a * a),
    )
    return forms[position % len(forms)]


def _units(dice: random.Random, position: int) -> Made:
    n = dice.randint(2, 30)
    forms: tuple[Made, ...] = (
        (f"How many minutes are in {n} hours?", 60 * n),
        (f"How many centimetres are in {n} metres?", 100 * n),
        (f"How many grams are in {n / 2:g} kilograms?", 500 * n),
        (f"How many days are in {n} weeks?", 7 * n),
        (f"How many seconds are in {n} minutes?", 60 * n),
        (f"How many metres are in {n / 4:g} kilometres?", 250 * n),
        (f"A film starts at 14:00 and lasts {60 + n} minutes. How many minutes after 15:00 does it end?", n),
    )
    return forms[position % len(forms)]
