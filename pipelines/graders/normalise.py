"""What counts as the same text: case, spacing, Unicode form, quotes and a closing full stop do not matter."""

import re
import unicodedata

_FENCE = re.compile(r"^```[^\n]*\n(.*?)\n?```$", re.DOTALL)
_WRAPPERS = "\"'`*_“”‘’«» \t"


def normalise(text: str, *, fold: bool = True) -> str:
    """`text` made comparable, its case forgotten where `fold`; may be empty."""
    text = unicodedata.normalize("NFKC", text).strip()
    fenced = _FENCE.match(text)
    text = " ".join((fenced[1] if fenced else text).split())
    text = text.casefold() if fold else text
    before = None
    while text != before:
        before = text
        text = text.strip(_WRAPPERS)
        if text.endswith((".", "。")) and not text.endswith(".."):
            text = text[:-1]
    return text


def has_phrase(text: str, phrase: str) -> bool:
    """Whether `phrase` occurs in `text` as whole words; both already normalised. Scripts without spaces match anywhere."""
    if not phrase:
        return False
    before = r"(?<!\w)" if _spaced(phrase[0]) else ""
    after = r"(?!\w)" if _spaced(phrase[-1]) else ""
    return re.search(before + re.escape(phrase) + after, text) is not None


def _spaced(letter: str) -> bool:
    """Whether `letter` belongs to a script that puts spaces between words (not Chinese, Japanese, Thai ...)."""
    if not (letter.isalnum() or letter == "_"):
        return False
    return not unicodedata.name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"))
