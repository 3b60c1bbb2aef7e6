"""Generated instructions whose answers are checked by a verifier: `{"name": ..., ...arguments}` as the reference.

The checks' names are those of pipelines.graders.verifier.
"""

import random
from collections.abc import Iterator

from pipelines.sources.row import SourceQuery, packed

SEED = 20260105
TWO_SENTENCES = r"[^.!?]+[.!?]+\s+[^.!?]+[.!?]+"
TOPICS = ("the sea", "a cat", "winter", "coffee", "a train journey", "trees", "music", "the moon", "a market", "rain", "a library", "bread")
WORDS = ("blue", "window", "quiet", "bridge", "lamp", "seven", "garden", "stone")
LISTS = ("fruits", "animals", "colours", "countries", "vegetables", "sports")
OBJECTS = (("name", "age"), ("title", "author"), ("city", "country"), ("product", "price"), ("question", "answer"))


def rows() -> Iterator[SourceQuery]:
    """About 75 instructions."""
    dice = random.Random(SEED)
    for position in range(80):
        text, reference = _instruction(dice, position)
        yield SourceQuery("instructions", "instructions", text, "verifier", packed(reference))


def _instruction(dice: random.Random, position: int) -> tuple[str, dict[str, object]]:
    topic, count = dice.choice(TOPICS), dice.randint(3, 6)
    one, other = dice.sample(WORDS, 2)
    kind, keys = dice.choice(LISTS), dice.choice(OBJECTS)
    forms: tuple[tuple[str, dict[str, object]], ...] = (
        (f"Write exactly {count} words about {topic}.", {"name": "words", "count": count}),
        (f"Write one sentence about {topic} that contains the word '{one}'.", {"name": "contains", "phrases": [one]}),
        (f"Name {count} {kind}, separated by commas, and nothing else.", {"name": "items", "count": count}),
        (f"Write one sentence about {topic} in lower case letters only.", {"name": "lower_case"}),
        (f"Write a JSON object with the keys '{keys[0]}' and '{keys[1]}'. Output only JSON.", {"name": "json_keys", "keys": list(keys)}),
        (f"Write a few words about {topic} in CAPITAL LETTERS only.", {"name": "upper_case"}),
        (f"Write one sentence about {topic} that ends with a question mark.", {"name": "ends_with", "phrase": "?"}),
        (f"Write one sentence with the words '{one}' and '{other}'.", {"name": "contains", "phrases": [one, other]}),
        (f"Write exactly two sentences about {topic}.", {"name": "matches", "pattern": TWO_SENTENCES}),
        (f"List {count} {kind}, one per line, without numbers or anything else.", {"name": "lines", "count": count}),
        (f"Write one sentence about {topic} that starts with the word 'Today'.", {"name": "starts_with", "phrase": "Today"}),
        (f"Describe {topic} in one sentence without using the word 'the'.", {"name": "excludes", "phrases": ["the"]}),
    )
    return forms[position % len(forms)]
