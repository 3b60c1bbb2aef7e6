"""Short questions of fact written for this project (facts.yaml), answered by naming the thing."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.sources.row import SourceQuery, any_of

FACTS = Path(__file__).with_name("facts.yaml")
ASKED = {
    "capitals": "What is the capital of {}?",
    "elements": "What is the chemical symbol of {}?",
    "authors": "Who wrote {}?",
}


def rows() -> Iterator[SourceQuery]:
    """Every fact; the domain is its heading in the file, `knowledge` for the lists of pairs."""
    from ruamel.yaml import YAML

    for heading, facts in YAML(typ="safe").load(FACTS).items():
        domain = "knowledge" if heading in ASKED else heading
        for asked, *accepted in facts:
            text = ASKED.get(heading, "{}").format(asked)
            language = "es" if domain == "spanish" else "en"
            yield SourceQuery(f"facts-{heading}", domain, text.replace(" - ", ": ", 1), "contains", any_of(*accepted), language=language)
