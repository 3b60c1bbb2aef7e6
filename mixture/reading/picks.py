"""The one option an answer picks: by its letter, its place or its text; stated, boxed, tagged or alone; two picks are none."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from mixture.reading.final_answer import Statement, body, lines_of, statements_in
from mixture.reading.languages import any_of, ordinal_prefixes
from mixture.reading.manner import is_denied, is_hedged, is_refusal, meant, sentences, without_closing
from mixture.reading.notation import plain
from mixture.reading.numeric import Number, number_of, read, stated_number
from mixture.reading.text import YES_OR_NO, normalise, occurrences

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST_MENTION = 300  # characters: a longer text that names one option in passing has not picked it
_ALONE = re.compile(r"^[^\w\n]*(?:(?:the\s+)?(?:option|choice|answer|letter)\b[^\w\n]*)?([A-Za-z])[^\w\n]*$", re.IGNORECASE)
_LISTED = re.compile(r"^[\s>*_#\-•(\[]*([A-Z])[).:\]*_]+\s+(.*)$", re.MULTILINE)
_BRACKETED = re.compile(r"[(\[（【]\s*([A-Z])\s*[)\]）】]|\b(?:option|choice|opción|opção|opzione|вариант|Option)\s+([A-Z])(?![\w'’])")
_YES = re.compile(
    r"^\W*(?:yes|correct|true|right|✓|✔|✅|☑|ja|richtig|oui|sí|sim|sì|да|верно|正确|正確|对|正解|맞)(?![^\W\d_])|[✓✔✅☑]", re.IGNORECASE
)
_NO = re.compile(r"^\W*(?:no|not|incorrect|false|wrong|✗|✘|❌|nein|falsch|non|não|нет|неверно|错误|错|不)|[✗✘❌]", re.IGNORECASE)
_ARTICLE = r"(?:the|la|die|a|o|el|il|le|l['’])"
_ARTICLES = frozenset("AIEOYUÀ")  # single letters that are words somewhere


def picked(answer: str, choices: Sequence[str], letters: str = LETTERS) -> str | None:
    """The one letter of `letters` the answer picks, or None; `choices` are the options' texts, () where only the query has them.

    Its last stated final answer that picks any decides, else what it is as a whole: a letter alone, an option's text, a verdict on
    each option, "C is correct". Who only writes the options down again picks none.
    """
    text = body(answer)
    options = {letter: normalise(_plain(option)) for letter, option in zip(letters, choices, strict=False)}
    denied = False
    for statement in reversed(statements_in(text)):
        picks = _stated(statement, options, letters)
        if picks:
            return next(iter(picks)) if len(picks) == 1 else None
        denied = denied or picks is None
    if denied:
        return None
    text = _plain(without_closing(text)).strip()
    if not text or is_refusal(text):
        return None
    for look in (_alone, _whole, _verdicts, _asserted, _leading, _bracketed, _mentioned):
        picks = look(text, options, letters)
        if picks:
            return next(iter(picks)) if len(picks) == 1 else None
    return None


def _plain(text: str) -> str:
    """In plain notation, without the dollar signs of formulas."""
    return plain(text).replace("$", "")


def _stated(statement: Statement, options: Mapping[str, str], letters: str) -> set[str] | None:
    """All letters a stated final answer picks; empty where it speaks of something else, None where it only denies."""
    phrase = _plain(statement.text).strip()
    content = phrase if _is_option(phrase, options) else meant(phrase)
    if content is None:
        denied = re.sub(any_of("negation"), " ", phrase, flags=re.IGNORECASE).strip()
        return None if _lettered(denied, options, letters, stated=True) or _named(denied, options) else set()
    line = content.split("\n", maxsplit=1)[0].strip()
    begun = _lead().match(line)
    if begun and begun["letter"].upper() in letters and is_denied(line, begun.start("letter"), begun.end()):
        return None
    return (
        _is_option(line, options)
        or _lettered(line, options, letters, stated=True)
        or _by_place(line, options, letters)
        or _named(sentences(line)[0] if sentences(line) else "", options)
        or _by_value(stated_number(replace(statement, text=line)), options)
        or {group for groups in _BRACKETED.findall(line) for group in groups if group and group in letters}
    )


def _is_option(text: str, options: Mapping[str, str]) -> set[str]:
    """The letters of the options that `text` is."""
    same = normalise(text)
    return {letter for letter, option in options.items() if option and option == same}


def _lettered(text: str, options: Mapping[str, str], letters: str, *, stated: bool) -> set[str]:
    """The letter that `text` begins with, and others joined to it; nothing where that letter is only a word or only spoken about."""
    match = _lead().match(text)
    if match is None or (letter := match["letter"].upper()) not in letters:
        return set()
    if is_denied(text, match.start("letter"), match.end()):
        return set()
    closed = bool(match["open"] or match["close"]) or bool(match["option"])
    rest = text[match.end() :]
    own, after = options.get(letter, ""), normalise(rest.lstrip(" ).:,;]*-–—").split("\n", maxsplit=1)[0])
    if _contradicted(letter, after, options):
        return {letter} | {other for other, option in options.items() if option and option == after}
    ends = (
        bool(match["close"] and not match["open"])
        or re.match(r"\s*(?:$|\n|[.,:;!?)\]*。，、：；！（(])|\s+[-–—=]\s|[^\W\d_a-zA-Z]", rest) is not None
    )
    if not closed and not match["letter"].isupper() and rest.strip(" .!*)"):
        return set()
    if not ends and not (own and after.startswith(own)):
        explained = _reason().match(rest) is not None if stated else False
        if not explained or (
            match["letter"] in _ARTICLES and not closed and re.match(r"\s+(?:is|in|by|with|it|are|was)\b", rest) and not stated
        ):
            return set()
    joined = _joined().match(rest)
    return {letter} | ({joined[1]} if joined and joined[1] in letters and joined[1] != letter else set())


def _contradicted(letter: str, after: str, options: Mapping[str, str]) -> bool:
    """Whether another option's text stands behind the letter: "A) Lyon" where Lyon is B."""
    return bool(after) and any(option == after for other, option in options.items() if other != letter) and options.get(letter) != after


def _by_place(text: str, options: Mapping[str, str], letters: str) -> set[str]:
    """`option 2`, `the third option`, 第三个选项."""
    size = len(options) or len(letters)
    places = {int(next(filter(None, match.groups()))) for match in _numbered().finditer(text)}
    if not places:
        words = {word.casefold() for match in _ordered().finditer(text) for word in (match[1] or match[2],) if word}
        places = {place for word in words for prefix, place in ordinal_prefixes().items() if word.startswith(prefix)}
        places |= {
            "一二三四五六七八九十".index(match[1]) + 1
            for match in re.finditer(r"第([一二三四五六七八九十])(?:个|個|项|項)?(?:选项|選項|选择|個|个|项)", text)
        }
    return {letters[place - 1] for place in places if 0 < place <= size and place <= len(letters)}


def _by_value(number: Number | None, options: Mapping[str, str]) -> set[str]:
    """The options that are the same number, however written."""
    return {letter for letter, option in options.items() if number is not None and read(option) == number}


def _named(segment: str, options: Mapping[str, str]) -> set[str]:
    """The letters of the options whose text is the segment, or occurs in it undenied and in no longer option that occurs too.

    Options that are numbers are not looked for: `1 + 1 = 2` names no 1.
    """
    text = normalise(segment)
    same = {letter for letter, option in options.items() if option and option == text}
    if same or len(text) > LONGEST_MENTION:
        return same
    spans = {letter: occurrences(text, option) for letter, option in options.items() if option and read(option) is None}
    kept = {letter: [span for span in own if not _inside_longer(span, letter, spans)] for letter, own in spans.items()}
    return {letter for letter, own in kept.items() if any(not is_denied(text, *span) for span in own)}


def _inside_longer(span: tuple[int, int], letter: str, spans: Mapping[str, Sequence[tuple[int, int]]]) -> bool:
    """Whether a longer option stands where this one does: "York" in "New York"."""
    start, end = span
    return any(
        other_start <= start and end <= other_end and other_end - other_start > end - start
        for other, others in spans.items()
        if other != letter
        for other_start, other_end in others
    )


def _alone(text: str, _options: Mapping[str, str], letters: str) -> set[str]:
    """The letter that is all of the last line, else of the first."""
    lines = lines_of(text)
    for line in (lines[-1], lines[0]) if lines else ():
        match = _ALONE.match(line)
        if match and match[1].upper() in letters:
            return {match[1].upper()}
    return set()


def _whole(text: str, options: Mapping[str, str], _letters: str) -> set[str]:
    """The option whose text the answer, its first line or last line is, or that it begins with: `No, yes would be wrong.`."""
    lines = lines_of(text)
    if not lines:
        return set()
    for line in (text, lines[-1], lines[0]):
        if same := _is_option(line, options) or (_by_value(read(line), options) if len(line) < 40 else set()):
            return same
    if len(_LISTED.findall(text)) > 1:
        return set()
    first, _, rest = re.sub(r"([,.;:!\n]|\s[–—-]\s)", "\n", text, count=1).partition("\n")
    same = {letter for letter, option in options.items() if option and option == normalise(first)}
    others = {letter: option for letter, option in options.items() if letter not in same}
    return same if normalise(first) in YES_OR_NO or not _named(rest, others) else set()


def _verdicts(text: str, options: Mapping[str, str], letters: str) -> set[str]:
    """Where each option is listed with a verdict, the one it approves of."""
    listed = [(letter, rest) for letter, rest in _LISTED.findall(text) if letter in letters]
    if len(listed) < 2:
        return set()
    judged = {letter: _verdict(rest, options.get(letter, "")) for letter, rest in listed}
    approved = {letter for letter, verdict in judged.items() if verdict == "yes"}
    return approved if sum(verdict != "" for verdict in judged.values()) >= 2 else set()


def _verdict(rest: str, option: str) -> str:
    """What stands behind an option's own text, as "yes", "no" or ""."""
    phrase = normalise(rest)
    if not (option and phrase.startswith(option)) and len(phrase.split()) <= 2:
        phrase = f" - {phrase}"  # "C: correct"
    behind = (
        phrase[len(option) :]
        if option and phrase.startswith(option)
        else re.split(r"\s[-–—:]\s|\(", phrase)[-1]
        if re.search(r"\s[-–—:]\s|\(|[✓✔✅☑✗✘❌]", phrase)
        else ""
    )
    behind = behind.lstrip(" -–—:(")
    return "yes" if _YES.search(behind) else "no" if _NO.search(behind) else ""


def _asserted(text: str, options: Mapping[str, str], letters: str) -> set[str]:
    """The last of: "I choose C", "C is correct", "the correct one is C", in a sentence that does not deny it."""
    for sentence in reversed(sentences(text)):
        spans = [(match["letter"], match) for pattern in (_chosen(), _approved()) for match in pattern.finditer(sentence)]
        picks = {
            letter for letter, match in spans if letter in letters and not is_denied(sentence, match.start("letter"), match.end("letter"))
        }
        if picks:
            joined = {other[1] for _, match in spans if (other := _joined().match(sentence[match.end("letter") :])) and other[1] in letters}
            return picks | joined
        chosen = re.search(any_of("choose") + r"\s+(.{1,80})", sentence, re.IGNORECASE)
        if chosen and (named := _named(chosen[1], options)):
            return named
    return set()


def _leading(text: str, options: Mapping[str, str], letters: str) -> set[str]:
    """The letter an answer begins with: `C. Rome`; not where it lists the options."""
    lines = lines_of(text)
    if len({letter for letter, _ in _LISTED.findall(text)} & set(letters)) > 1:
        return _named(lines[-1], options) if not _LISTED.match(lines[-1]) else set()
    begun = _lettered(text, options, letters, stated=False)
    if not begun and len(lines) > 1 and _settled(text, lines[-1], options, letters):
        begun = _lettered(lines[-1], options, letters, stated=False)
    return begun or _by_place(text, options, letters)


def _settled(text: str, last: str, options: Mapping[str, str], letters: str) -> bool:
    """Whether a last line may be taken for the pick: it holds an option's text, or no other letter is spoken about before it."""
    spoken_of = {group for groups in _BRACKETED.findall(text) for group in groups if group and group in letters}
    return len(spoken_of) < 2 or bool(_named(last, options))


def _bracketed(text: str, _options: Mapping[str, str], letters: str) -> set[str]:
    """Letters in brackets, undenied."""
    if len(_LISTED.findall(text)) > 1:
        return set()
    return {
        group
        for sentence in sentences(text)
        for match in _BRACKETED.finditer(sentence)
        for group in match.groups()
        if group and group in letters and not is_denied(sentence, *match.span())
    }


def _mentioned(text: str, options: Mapping[str, str], _letters: str) -> set[str]:
    """The option a short answer names, or the last sentence of a long one; of options that are numbers the one the answer gives."""
    if len(_LISTED.findall(text)) > 1:
        return set()
    spoken = sentences(text)
    for segment in (text, *spoken[-1:]):
        picks = set() if is_hedged(segment) else _named(segment, options)
        if picks:
            return picks
    return _by_value(number_of(text), options) if any(map(str.isdigit, "".join(options.values()))) else set()


@cache
def _lead() -> re.Pattern[str]:
    """A letter at the start, with or without brackets and a word for "option" before it."""
    return re.compile(
        rf"[^\w(\[（【「]*(?:(?:indeed|clearly|most\s+likely|likely|probably|definitely|therefore|also|only|just|donc)\s+)*"
        rf"(?:(?-i:{_ARTICLE})\s*(?=[(\[]?(?-i:[A-Z])(?![a-z])|{any_of('option')}))?(?:(?P<option>{any_of('option')})\W{{0,4}}?\s*)?(?P<open>[(\[（【{{「]\s*)?(?P<letter>[A-Za-z])(?P<close>\s*[)\]）】}}」])?(?![A-Za-z0-9'’_])",
        re.IGNORECASE,
    )


@cache
def _joined() -> re.Pattern[str]:
    """Another letter joined to one: `B or C`, `A, C`, `A/C`."""
    return re.compile(
        rf"[\s)\]*\"]*(?:[,/&+、]|{any_of('alternatives')})[\s,]*(?:{any_of('alternatives')}\s*)?(?i:option\s+)?[(\[*\"]*([A-Z])(?![A-Za-z0-9'’])"
    )


@cache
def _reason() -> re.Pattern[str]:
    return re.compile(rf"\s+{any_of('reasons')}|\s*{any_of('alternatives')}", re.IGNORECASE)


@cache
def _numbered() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:option|choice|opción|opção|opzione|вариант|antwort|auswahl|proposition|answer|alternativa)\s*(?:number|no\.?|nr\.?|#|numéro|número|numero|номер)?\s*(\d{1,2})(?![\d.,]*\d)"
        r"|\b(\d{1,2})(?:st|nd|rd|th|\.|ª|º|e|ème)\s+(?:option|choice|answer|opción|opção|opzione)|(?:选项|選項|選択肢|선택지|보기)\s*(\d{1,2})",
        re.IGNORECASE,
    )


@cache
def _ordered() -> re.Pattern[str]:
    prefixes = "|".join(ordinal_prefixes())
    return re.compile(rf"\b((?:{prefixes})[^\W\d_]*)\s+{any_of('option')}|{any_of('option')}\s+((?:{prefixes})[^\W\d_]*)", re.IGNORECASE)


@cache
def _chosen() -> re.Pattern[str]:
    """A letter behind "I choose"; an A or I that is only a word is none."""
    ends = r"(?=[)\]*\"'”]*\W*(?:$|[.,;:!?—–]|(?:because|since|as)\b))"
    letter = rf"(?P<letter>[B-HJ-Z](?![A-Za-z0-9'’])|[AI](?![A-Za-z0-9'’]){ends})"
    return re.compile(rf"(?i:{any_of('choose')})\s*(?i:(?:{_ARTICLE}\s*)?{any_of('option')}\s*)?[(\[*\"'“「]*{letter}")


@cache
def _approved() -> re.Pattern[str]:
    verbs = r"(?:is|are|ist|est|es|é|è|это|seems|must\s+be|would\s+be)"
    article = r"(?:the\s+|die\s+|la\s+|a\s+|l['’]|indeed\s+|therefore\s+|clearly\s+|most\s+likely\s+|also\s+)*"
    spaced = rf"\s+it\s+is(?=\W*$)|\s+{verbs}\s+{article}(?:most\s+)?(?:{_spaced_right()})(?![^\W\d_])|\s+{_russian_right()}"
    unspaced = rf"\s*{any_of('right')}"
    return re.compile(rf"(?<![A-Za-z0-9'’])(?P<letter>[A-Z])[)\]*\"'”]*(?i:{spaced}|(?=[^\x00-\x7f]|\s[^\x00-\x7f]){unspaced})")


def _spaced_right() -> str:
    from mixture.reading.languages import ENGLISH, FRENCH, GERMAN, ITALIAN, PORTUGUESE, SPANISH

    return "|".join(each.right for each in (ENGLISH, GERMAN, FRENCH, SPANISH, PORTUGUESE, ITALIAN))


def _russian_right() -> str:
    return r"(?:верен|верно|правильн\w+)"
