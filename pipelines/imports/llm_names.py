"""LLMs by the names that users' files call them: which id of the pool that is, or would be."""

import hashlib
import re
import unicodedata
from collections import Counter

from registry.entry import LONGEST_ID
from registry.pool import Pool


def slug(name: str) -> str:
    """`name` in lower case letters, digits and '-', at most 64; DVC cannot address ids with dots. Empty where nothing of it is left."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:LONGEST_ID].strip("-")


def id_of(name: str) -> str:
    """The id of an LLM called `name`: its slug; what a slug cannot hold (other scripts, much length) tells names apart by a hash."""
    slugged = slug(name)
    if slugged.isdigit():
        slugged = f"llm-{slugged}"
    if len(name) > LONGEST_ID or _loses_letters(name):
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        slugged = f"{slugged[: LONGEST_ID - 9].strip('-') or 'llm'}-{digest}"
    return slugged or f"llm-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def known_to(pool: Pool) -> dict[str, str]:
    """The ids of the pool's LLMs by what files may call them: id, name, or served name, where no other LLM is called so."""
    pairs = {(called, llm.id) for llm in pool.llms for called in (llm.name, llm.endpoint.served_name if llm.endpoint else llm.name)}
    counts = Counter(called for called, _ in pairs)
    return {called: llm_id for called, llm_id in pairs if counts[called] == 1} | {llm.id: llm.id for llm in pool.llms}


def _loses_letters(name: str) -> bool:
    """Whether letters of `name` are in no slug: those of scripts that are not Latin."""
    return any(each.isalnum() and not each.isascii() for each in unicodedata.normalize("NFKD", name))
