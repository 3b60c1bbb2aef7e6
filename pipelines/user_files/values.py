"""One cell's value as it is meant: numbers, yes and no, texts and lists, as spreadsheets, data frames and JSON write them.

Every function takes what stands in the cell and raises ValueError, in words, where it cannot be taken.
"""

import ast
import io
import json
import re
import tokenize
import unicodedata
from collections.abc import Mapping
from typing import Any

from pipelines.user_files import chats
from scorer.near_matches import near_matches

RIGHT = frozenset({"true", "yes", "correct", "right", "pass", "passed"})
WRONG = frozenset({"false", "no", "incorrect", "wrong", "fail", "failed"})
SPLITS = {
    "train": ("train", "training", "fit"),
    "calibration": ("calibration", "calib"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
    "ood": ("ood", "out of domain", "out of distribution", "outofdomain", "outofdistribution"),
}
_SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}
_EITHER = frozenset({"eval", "evaluation", "held out", "heldout", "hold out", "holdout"})  # some choose by these, some only report
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")  # 1,234 and 1,234,567.8
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_DIGITS_OF_A_FLOAT = 2**53  # whole numbers from here on have lost digits once they were floats


def plain(value: object) -> object:
    """Text with its invisible edges, numbers as text: 42 and "42" are the same answer, and 3.0 is how a data frame writes 3."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float):
        return str(value)
    return _sound(value) if isinstance(value, str) else value


def name(value: object) -> object:
    """Text that says something, without the spaces around it."""
    text = plain(value)
    if isinstance(text, str):
        if not _visible(text):
            raise ValueError("is empty")
        return text.strip()
    return text


def own_id(value: object) -> object:
    """A row's id by its owner."""
    if isinstance(value, float) and abs(value) >= _DIGITS_OF_A_FLOAT:
        raise ValueError("is a rounded number; write ids as text")
    return name(value)


def query(value: object) -> object:
    """The text of a query, or of the chat that asks it."""
    chat = chats.asked(chats.parsed(value))
    return name(value if chat is None else chat)


def reply(value: object) -> object:
    """The text of an answer, which may be empty; half a character, as a cut-off answer ends with, is kept as U+FFFD."""
    said = chats.replied(chats.parsed(value))
    text = value if said is None else said
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(text, str) else plain(text)


def reference(value: object) -> object:
    """A reference as it stands: a text, a number or truth as text, or a list or mapping for a grader that takes one."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, list | dict) else plain(value)


def score(value: object) -> object:
    """A reward: a number, a share in percent, or right and wrong in words."""
    if not isinstance(value, str):
        return value
    word = value.strip().casefold()
    if word in RIGHT | WRONG:
        return float(word in RIGHT)
    if word.endswith("%"):
        return _number(word.removesuffix("%")) / 100
    try:
        return _number(word)
    except ValueError:
        raise ValueError("is no score: a number from 0 to 1, a percentage, or true and false") from None


def usd(value: object) -> object:
    """An amount of US dollars."""
    return _number(value.strip().removeprefix("$").removeprefix("USD").removesuffix("USD")) if isinstance(value, str) else value


def number(value: object) -> object:
    """A number, also with the comma of many languages."""
    return _number(value) if isinstance(value, str) else value


def count(value: object) -> object:
    """A whole number, also with its thousands grouped."""
    if isinstance(value, str) and _GROUPED.fullmatch(value.strip()):
        return _number(value.replace(",", ""))
    return number(value)


def split(value: object) -> object:
    """A split by its name here; case, the usual short forms, and `set` or `split` after them are folded."""
    word = re.sub(r"[\s_-]+", " ", value.strip().casefold()) if isinstance(value, str) else ""
    word = word if word in _SPLIT_OF else word.removesuffix(" split").removesuffix(" set")
    if word in _EITHER:
        raise ValueError("may be validation, which chooses, or test, which only reports; write one of them")
    if word not in _SPLIT_OF:
        near = dict.fromkeys(_SPLIT_OF[each] for each in near_matches(word, _SPLIT_OF))
        meant = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(SPLITS)}"
        raise ValueError(f"is no split; {meant}")
    return _SPLIT_OF[word]


def grader(value: object) -> object:
    """A grader's name in the form ours have."""
    text = name(value)
    return re.sub(r"[\s-]+", "_", text.casefold()) if isinstance(text, str) else text


def choices(value: object) -> object:
    """A query's options as pairs of label and text; a label is "" where the options have none of their own.

    A list of texts, also as JSON or as Python or NumPy print one; a mapping of label to text; lists of labels and texts in one mapping,
    or a mapping for each option, as published sets have them.
    """
    if isinstance(value, str):
        value = _list_in(value)
    if isinstance(value, Mapping):
        value = _labelled(value)
    if not isinstance(value, list | tuple):
        raise ValueError('is not a list of options such as ["yes", "no"]')  # noqa: TRY004 - pydantic collects ValueErrors only
    pairs = [_option(each) for each in value]
    if any(not _visible(text) for _, text in pairs):
        raise ValueError("has an empty option")
    return pairs


def _option(value: Any) -> tuple[str, str]:
    if isinstance(value, Mapping):
        by_name = {str(key).casefold(): each for key, each in value.items()}
        text = next((by_name[key] for key in ("text", "content", "value", "option") if key in by_name), None)
        label = next((by_name[key] for key in ("label", "key", "id", "letter") if key in by_name), "")
        if text is not None:
            return str(plain(label)), str(name(text))
    if isinstance(value, tuple):
        return str(plain(value[0])), str(name(value[1]))
    if isinstance(value, str | int | float):
        return "", str(name(str(value) if isinstance(value, bool) else value))
    raise ValueError("has an option that is no text")


def _labelled(value: Mapping[Any, Any]) -> object:
    """A mapping of options as a list of (label, text)."""
    by_name = {str(key).casefold(): each for key, each in value.items()}
    texts = next((by_name[key] for key in ("text", "texts", "choices", "options") if isinstance(by_name.get(key), list)), None)
    labels = next((by_name[key] for key in ("label", "labels") if isinstance(by_name.get(key), list)), None)
    if texts is not None and labels is not None and len(texts) == len(labels) and len(by_name) == 2:
        return list(zip(labels, texts, strict=True))
    keys = [str(key).strip().upper() for key in value]
    if keys == [chr(ord("A") + place) for place in range(len(keys))] or keys in (
        [str(n + first) for n in range(len(keys))] for first in (0, 1)
    ):
        return list(zip(keys, value.values(), strict=True))
    raise ValueError(f"is a mapping of {', '.join(map(str, value))}, not of letters to options")


def _list_in(text: str) -> object:
    """The list that `text` is: JSON, or what Python or NumPy print. Raises ValueError."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return _printed_list(text)
    except (ValueError, SyntaxError, tokenize.TokenError, IndentationError):
        pass
    raise ValueError('is not a list of options such as ["yes", "no"]')


def _printed_list(text: str) -> object:
    """A list as Python or NumPy print it; NumPy puts no commas between the items, so two texts side by side are two."""
    if text.lstrip().startswith("{"):
        return ast.literal_eval(text.strip())
    skipped = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline) if token.type not in skipped]
    if not tokens or (tokens[0].string, tokens[-1].string) not in {("[", "]"), ("(", ")")}:
        raise ValueError("is no list")
    inner = tokens[1:-1]
    items = [ast.literal_eval(token.string) for token in inner if token.type in {tokenize.STRING, tokenize.NUMBER}]
    commas = sum(token.string == "," for token in inner)
    if len(items) + commas != len(inner) or commas not in {0, len(items) - 1, len(items)}:
        raise ValueError("is no list of texts")
    return items


def _number(text: str) -> float:
    """The number that `text` writes. Raises ValueError where it is none, or may be two."""
    bare = text.strip().replace("\u2212", "-").replace("\u00a0", "")
    if _GROUPED.fullmatch(bare) and (bare.count(",") > 1 or "." in bare):
        bare = bare.replace(",", "")
    elif _GROUPED.fullmatch(bare) and not bare.lstrip("+-").startswith("0"):
        raise ValueError("may be thousands or a decimal comma; write it without the comma")
    elif _DECIMAL_COMMA.fullmatch(bare):
        bare = bare.replace(",", ".")
    try:
        return float(bare)
    except ValueError:
        raise ValueError("is not a number") from None


def _sound(text: str) -> str:
    """`text` where it can be stored and sent. Raises ValueError."""
    if "\0" in text:
        raise ValueError("has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"has half a character (\\u{ord(text[exc.start]):04x}), as text that was cut has") from exc
    return text


def _visible(text: str) -> bool:
    """Whether anything of `text` is seen: neither spaces nor zero-width characters alone."""
    return any(not each.isspace() and unicodedata.category(each) not in {"Cf", "Cc"} for each in text)
