"""Generated reading: short passages whose questions are answered by a word of the passage."""

import random
from collections.abc import Iterator

from pipelines.sources.row import SourceQuery, any_of

SEED = 20260104
PEOPLE = ("Marta", "Oliver", "Nadia", "Tom", "Yuki", "Samir", "Lena", "Carlos", "Ruth", "Ivan")
TOWNS = ("Bergen", "Lyon", "Porto", "Graz", "Leeds", "Turin", "Ghent", "Malmo")
JOBS = ("teacher", "baker", "nurse", "carpenter", "pilot", "farmer", "painter", "librarian")
PETS = ("cat", "parrot", "dog", "turtle", "rabbit")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
FOODS = ("soup", "pancakes", "rice", "salad", "pasta", "fish")
WEATHER = ("rain", "snow", "fog", "strong wind")


def rows() -> Iterator[SourceQuery]:
    """About 80 questions on passages of three to five sentences."""
    dice = random.Random(SEED)
    for position in range(80):
        passage, asked = _story(dice) if position % 2 else _notice(dice)
        question, accepted = asked[position // 2 % len(asked)]
        yield SourceQuery("passages", "reading", f"{passage}\nQuestion: {question}", "contains", any_of(*accepted))


def _story(dice: random.Random) -> tuple[str, list[tuple[str, tuple[str, ...]]]]:
    one, other = dice.sample(PEOPLE, 2)
    home, away = dice.sample(TOWNS, 2)
    job, pet, day, food, weather = (dice.choice(kind) for kind in (JOBS, PETS, DAYS, FOODS, WEATHER))
    passage = (
        f"{one} is a {job} from {home}. Every {day}, {one} takes the train to {away} to visit {other}, who has a {pet}. "
        f"They usually cook {food} together. Last week the train was late because of {weather}, so they ate at the station instead."
    )
    return passage, [
        (f"Where does {other} live?", (away,)),
        (f"What is the job of {one}?", (job,)),
        ("Which animal is mentioned?", (pet,)),
        ("Why was the train late?", (weather.split()[-1],)),
        ("On which day do they meet?", (day,)),
        ("Where did they eat last week?", ("station",)),
        (f"Which town does {one} come from?", (home,)),
        ("What do they usually cook?", (food,)),
    ]


def _notice(dice: random.Random) -> tuple[str, list[tuple[str, tuple[str, ...]]]]:
    opens, closes, price = dice.randint(7, 10), dice.randint(15, 20), dice.randint(4, 18)
    town, closed, person = dice.choice(TOWNS), dice.choice(DAYS), dice.choice(PEOPLE)
    floor = dice.choice(("first", "second", "third"))
    passage = (
        f"The museum of {town} opens at {opens} o'clock and closes at {closes} o'clock; it stays closed on {closed}. "
        f"A ticket costs {price} euros, children pay half. The café is on the {floor} floor. Guided tours are led by {person}."
    )
    return passage, [
        ("At what hour does the museum open?", (str(opens), f"{opens}:00")),
        ("On which day is the museum closed?", (closed,)),
        ("How many euros do two adults pay together?", (str(2 * price),)),
        ("On which floor is the café?", (floor,)),
        ("Who leads the tours?", (person,)),
        ("In which town is the museum?", (town,)),
        ("How many hours is the museum open a day?", (str(closes - opens),)),
    ]
