"""What counts as the same text: case, spacing, Unicode form, quotes and a closing full stop do not matter."""

import html
import re
import unicodedata

YES_OR_NO = frozenset("yes no true false ja nein oui non sí si não sim да нет 是 否 はい いいえ 네 아니요".split())  # noqa: SIM905 - read at a glance
_FENCE = re.compile(r"^```[^\n]*\n(.*?)\n?```$", re.DOTALL)
_LETTER = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]"  # of a script with spaces
_WRAPPERS = "\"'`*_“”‘’«»„「」『』 \t"


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
        if text.endswith((".", "。", "!", "！")) and not text.endswith(("..", "!!")):
            text = text[:-1]
    return text


def loose(text: str) -> str:
    """`normalise`d and further: HTML entities, accents on Latin letters, hyphens and separators of thousands do not matter either."""
    text = normalise(html.unescape(text))
    text = re.sub(r"(?<![\d.,])(\d{1,3})((?:,\d{3})+)(?![\d,])", lambda match: match[1] + match[2].replace(",", ""), text)
    text = re.sub(r"(?<=[^\W\d_])[-‐‑](?=[^\W\d_])", " ", text.replace("−", "-").replace("’", "'"))
    return " ".join(_without_accents(text).split())


def has_phrase(text: str, phrase: str) -> bool:
    """Whether `phrase` occurs in `text` as whole words; both already normalised. Scripts without spaces match anywhere."""
    return bool(occurrences(text, phrase))


def occurrences(text: str, phrase: str) -> list[tuple[int, int]]:
    """Where `phrase` stands in `text` as whole words and whole numbers: 12 is not in 12.5, 5 not in -5."""
    if not phrase:
        return []
    before = f"(?<!{_LETTER})" if _spaced(phrase[0]) else ""
    after = f"(?!{_LETTER})" if _spaced(phrase[-1]) else ""
    if phrase[0].isdigit():
        before += r"(?<!\d[.,:/])(?<!(?<![\w)])-)"
    if phrase[-1].isdigit():
        after += r"(?![.,:/]\d)(?!\s?\^)"
    return [match.span() for match in re.finditer(before + re.escape(phrase) + after, text)]


def _without_accents(text: str) -> str:
    """Latin letters without their marks; in other scripts marks tell letters apart."""
    if text.isascii():
        return text
    kept: list[str] = []
    for letter in unicodedata.normalize("NFD", text):
        if unicodedata.combining(letter) and kept and kept[-1].isascii():
            continue
        kept.append(letter)
    return unicodedata.normalize("NFC", "".join(kept))


def _spaced(letter: str) -> bool:
    """Whether `letter` belongs to a script that puts spaces between words (not Chinese, Japanese, Thai ...)."""
    if not (letter.isalnum() or letter == "_"):
        return False
    return not unicodedata.name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR"))
