"""Generated reasoning: tracking things, ordering people, letters and words, directions, days, odd one out, syllogisms."""

import itertools
import random
from collections.abc import Callable, Iterator

from mixture.reading.picks import LETTERS
from pipelines.sources.row import SourceQuery, any_of, either_or

SEED = 20260103
NAMES = ("Amy", "Bob", "Carla", "Dan", "Eva", "Finn", "Gina", "Hans", "Iris", "Jack")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
COMPASS = ("north", "east", "south", "west")
WORDS = (
    "table",
    "river",
    "candle",
    "orange",
    "basket",
    "pencil",
    "forest",
    "button",
    "castle",
    "ladder",
    "stone",
    "bread",
    "music",
    "tiger",
)
GROUPS = {
    "fruit": ("apple", "banana", "pear", "grape", "mango"),
    "animal": ("dog", "horse", "lion", "cow", "rabbit"),
    "colour": ("red", "blue", "green", "yellow", "purple"),
    "tool": ("hammer", "saw", "screwdriver", "drill", "wrench"),
    "instrument": ("violin", "piano", "flute", "trumpet", "drum"),
    "vehicle": ("car", "bus", "train", "bicycle", "truck"),
    "furniture": ("chair", "sofa", "bed", "wardrobe", "desk"),
}
OPPOSITES = {"hot": "cold", "up": "down", "big": "small", "early": "late", "hard": "soft", "full": "empty", "dark": "light", "young": "old"}
KINDS = ("roses", "flowers", "plants", "robots", "machines", "poets", "artists", "whales", "mammals", "wugs", "daxes", "blickets")


def rows() -> Iterator[SourceQuery]:
    """About 230 puzzles."""
    makers: tuple[tuple[str, int, Callable[[random.Random, int], SourceQuery]], ...] = (
        ("tracking", 40, _tracking),
        ("ordering", 45, _ordering),
        ("letters", 40, _letters),
        ("directions", 25, _directions),
        ("dates", 30, _dates),
        ("odd-one-out", 30, _odd_one_out),
        ("syllogisms", 40, _syllogism),
    )
    for dataset, count, make in makers:
        dice = random.Random(f"{SEED}-{dataset}")
        for position in range(count):
            yield make(dice, position)


def _tracking(dice: random.Random, position: int) -> SourceQuery:
    """Balls that change hands, or a thing that is moved."""
    if position % 2:
        places = dice.sample(("box", "drawer", "basket", "cupboard", "bag"), 3)
        thing = dice.choice(("key", "ring", "letter", "toy", "phone"))
        moves = [f"{dice.choice(NAMES)} moves the {thing} to the {place}." for place in places[1:]]
        made = moves[: 1 + position % 4 // 2]
        where = places[len(made)]
        text = f"The {thing} is in the {places[0]}. {' '.join(made)} Where is the {thing} now?"
        return SourceQuery("tracking", "reasoning", text, "contains", any_of(where))
    people, colours = dice.sample(NAMES, 3), dice.sample(("red", "blue", "green", "white", "black"), 3)
    ball_of = dict(zip(people, colours, strict=True))
    start = ", ".join(f"{person} has a {colour} ball" for person, colour in ball_of.items())
    swaps = []
    for _ in range(1 + position % 3):
        one, other = dice.sample(people, 2)
        ball_of[one], ball_of[other] = ball_of[other], ball_of[one]
        swaps.append(f"{one} and {other} swap balls.")
    owner = dice.choice(people)
    return SourceQuery(
        "tracking", "reasoning", f"{start}. {' '.join(swaps)} What colour is {owner}'s ball now?", "contains", any_of(ball_of[owner])
    )


def _ordering(dice: random.Random, position: int) -> SourceQuery:
    more, most, least = dice.choice((("taller", "tallest", "shortest"), ("older", "oldest", "youngest"), ("faster", "fastest", "slowest")))
    people = dice.sample(NAMES, 3 + position % 3)
    facts = [f"{one} is {more} than {other}." for one, other in itertools.pairwise(people)]
    dice.shuffle(facts)
    asked, answer = (most, people[0]) if position % 2 else (least, people[-1])
    return SourceQuery("ordering", "reasoning", f"{' '.join(facts)} Who is the {asked}?", "contains", any_of(answer))


def _letters(dice: random.Random, position: int) -> SourceQuery:
    word, start, step = dice.choice(WORDS), dice.randint(0, 5), dice.randint(1, 3)
    series = [chr(ord("A") + start + step * i) for i in range(6)]
    chosen = dice.sample(WORDS, 4)
    forms = (
        (f"What is the last letter of the word '{word}'?", "exact", word[-1]),
        (f"How many letters does the word '{word}' have?", "number", str(len(word))),
        (f"Which letter comes next? {', '.join(series[:-1])}, ...", "exact", series[-1]),
        (f"Which of these words comes first in the alphabet: {', '.join(chosen)}?", "contains", any_of(min(chosen))),
        (f"How many times does the letter '{word[1]}' occur in '{word}'?", "number", str(word.count(word[1]))),
        (f"Write the word '{word}' backwards.", "exact", word[::-1]),
        (f"Take the first letters of '{' '.join(chosen)}'. What do they spell?", "exact", "".join(w[0] for w in chosen)),
        (f"What is letter number {step + 1} of the word '{word}'?", "exact", word[step]),
    )
    text, grader, reference = forms[position % len(forms)]
    return SourceQuery("letters", "reasoning", text, grader, reference)


def _directions(dice: random.Random, position: int) -> SourceQuery:
    facing, turns = dice.randrange(4), [dice.choice(("left", "right")) for _ in range(1 + position % 3)]
    end = (facing + sum(1 if turn == "right" else -1 for turn in turns)) % 4
    way = ", then ".join(f"turn {turn}" for turn in turns)
    return SourceQuery(
        "directions", "reasoning", f"You face {COMPASS[facing]} and {way}. Which direction do you face?", "contains", any_of(COMPASS[end])
    )


def _dates(dice: random.Random, position: int) -> SourceQuery:
    day, month, n = dice.randrange(7), dice.randrange(12), dice.randint(2, 20)
    forms = (
        (f"Today is {DAYS[day]}. What day of the week will it be in {n} days?", DAYS[(day + n) % 7]),
        (f"Yesterday was {DAYS[day]}. What day is tomorrow?", DAYS[(day + 2) % 7]),
        (f"Which month comes {n % 5 + 1} months after {MONTHS[month]}?", MONTHS[(month + n % 5 + 1) % 12]),
        (f"Today is {DAYS[day]}. What day of the week was it {n % 6 + 1} days ago?", DAYS[(day - n % 6 - 1) % 7]),
        (f"If {n % 5 + 2} days from now is {DAYS[day]}, what day is it today?", DAYS[(day - n % 5 - 2) % 7]),
    )
    text, answer = forms[position % len(forms)]
    return SourceQuery("dates", "reasoning", text, "contains", any_of(answer))


def _odd_one_out(dice: random.Random, position: int) -> SourceQuery:
    inside, outside = dice.sample(sorted(GROUPS), 2)
    words = [*dice.sample(GROUPS[inside], 3), dice.choice(GROUPS[outside])]
    if position % 3 == 2:
        shown, hidden = dice.sample(sorted(OPPOSITES), 2)
        text = f"{shown} is to {OPPOSITES[shown]} as {hidden} is to what?"
        return SourceQuery("odd-one-out", "reasoning", text, "contains", any_of(OPPOSITES[hidden]))
    odd = words[-1]
    dice.shuffle(words)
    text = either_or("Which word does not belong with the others?", words)
    return SourceQuery("odd-one-out", "reasoning", text, "choice", LETTERS[words.index(odd)], tuple(words))


def _syllogism(dice: random.Random, position: int) -> SourceQuery:
    """Valid and invalid ones in equal number; the kinds are drawn freely, so knowledge of the world does not help."""
    a, b, c = dice.sample(KINDS, 3)
    forms = (
        (f"All {a} are {b}. All {b} are {c}.", f"All {a} are {c}.", True),
        (f"All {a} are {b}. Some {b} are {c}.", f"Some {a} are {c}.", False),
        (f"No {a} are {b}. All {c} are {a}.", f"No {c} are {b}.", True),
        (f"All {a} are {b}. All {c} are {b}.", f"All {a} are {c}.", False),
        (f"All {a} are {b}. Some {a} are {c}.", f"Some {b} are {c}.", True),
        (f"All {a} are {b}.", f"All {b} are {a}.", False),
    )
    premises, conclusion, valid = forms[position % len(forms)]
    text = f"{premises} Does it follow that: {conclusion} Answer yes or no."
    return SourceQuery("syllogisms", "reasoning", text, "choice", "A" if valid else "B", ("yes", "no"))
