"""Numbers as people write them: separators of thousands, decimals in both styles, words of size, units, times."""

import re
from fractions import Fraction

LONGEST = 400  # digits; no answer can ask for more work than that
_GROUPS = {
    ",": re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}"),  # Indian lakhs too
    ".": re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){2,}"),  # one such group alone is a decimal
    "'": re.compile(r"[1-9]\d{0,2}(?:'\d{3})+"),
    " ": re.compile(r"[1-9]\d{0,2}(?: \d{3})+"),
    "_": re.compile(r"[1-9]\d{0,2}(?:_\d{3})+"),
}
_BASE = re.compile(r"(\d+)_\d{1,2}")
_SIZES: tuple[tuple[str, int], ...] = (
    (r"hundred|hundert|cent(?=s?\b)|百|백", 2),
    (r"k|thousand|tausend|mille?|mila|tsd|тысяч\w*|千|천", 3),
    (r"lakhs?", 5),
    (r"mm|mn|mio|millions?|millionen|mill[oó]n(?:es)?|milh(?:ão|ões)|milion[ei]|миллион\w*|млн", 6),
    (r"crores?", 7),
    (r"bn|billions?|milliarden?|milliards?|miliard[oi]|bilh(?:ão|ões)|миллиард\w*|млрд", 9),
    (r"trillions?", 12),
    (r"万|萬|만", 4),
    (r"亿|億|억", 8),
)
_SIZE_WORDS = tuple((re.compile(words, re.IGNORECASE), power) for words, power in _SIZES)
_PERCENT = re.compile(r"percent|percentage|pct|prozent|pourcent|porcento|процент\w*|パーセント|퍼센트|프로", re.IGNORECASE)
_UNITS: tuple[tuple[str, str], ...] = (
    ("m", "meters? metres? metros? mètres? metri м метр\\w* 米 メートル 미터"),
    ("km", "kilomet(?:er|re)s? kilómetros? quilómetros? kilomètres? chilometri км 公里 千米 キロメートル 킬로미터"),
    ("cm", "centimet(?:er|re)s? centímetros? centimètres? centimetri см 厘米 センチ(?:メートル)? 센티미터"),
    ("mm", "millimet(?:er|re)s? мм 毫米"),
    ("g", "grams? grammes? gramm gramos? gramas? г 克 グラム 그램"),
    ("kg", "kilograms? kilos? kilogramm кг 公斤 千克 キログラム 킬로그램"),
    ("mg", "milligrams?"),
    ("l", "lit(?:er|re)s? litros? litri л 升 リットル 리터"),
    ("ml", "millilit(?:er|re)s? мл 毫升"),
    ("s", "secs? seconds? sekunden? segundos? secondes? secondi сек 秒 초"),
    ("min", "mins? minutes? minuten? minutos? minuti мин 分钟 分鐘 분"),
    ("h", "hrs? hours? stunden? horas? heures? ore час\\w* 小时 小時 時間 시간"),
    ("d", "days? tage? días? dias? jours? giorni дн\\w* день 天 日間"),
    ("mi", "miles? meilen? millas?"),
    ("ft", "foot feet"),
    ("in", "inch(?:es)?"),
    ("yd", "yards?"),
    ("lb", "lbs? pounds?"),
    ("oz", "ounces?"),
    (
        "",  # themselves
        "N J W V A Hz kHz MHz GHz Pa kPa C F K L mL mol kW kWh MB GB KB TB px pt deg rad ha mph kph km/h µm nm μm ms dB eV cal kcal rpm",
    ),
)
_UNIT_WORDS = tuple(
    (re.compile(rf"{symbol}|{'|'.join(words.split())}" if symbol else "|".join(words.split())), symbol) for symbol, words in _UNITS
)
_ORDINAL = re.compile(r"st|nd|rd|th|ème|eme|er|ère|[ºª]|-?[яйе]", re.IGNORECASE)


def literal(digits: str) -> Fraction | None:
    """The value of one run of digits and separators; None where it is no one number (a list, a version, a date).

    The last of two kinds of separator is the decimal one. A single comma before exactly three digits separates thousands, a single
    full stop is always a decimal one.
    """
    digits, _, exponent = re.sub("[’ʼ]", "'", digits).lower().partition("e")
    if len(digits) > LONGEST or len(exponent) > 4:
        return None
    whole = _grouped(digits)
    if whole is None or not exponent:
        return whole
    return whole * Fraction(10) ** int(exponent) if abs(int(exponent)) <= LONGEST else None


def _grouped(digits: str) -> Fraction | None:
    """`literal` without an exponent."""
    kinds = list(dict.fromkeys(re.findall(r"\D", digits)))
    if (base := _BASE.fullmatch(digits)) and not _GROUPS["_"].fullmatch(digits):
        return Fraction(int(base[1]))  # a number with its base: 101_2
    if len(kinds) == 1 and _GROUPS[kinds[0]].fullmatch(digits):
        return Fraction(int(digits.replace(kinds[0], "")))
    if len(kinds) == 2 and kinds[1] in ",." and digits.count(kinds[1]) == 1:
        whole, decimals = digits.split(kinds[1])
        return Fraction(whole.replace(kinds[0], "") + "." + decimals) if _GROUPS[kinds[0]].fullmatch(whole) or _one_dot(whole) else None
    if not kinds or (len(kinds) == 1 and kinds[0] in ",." and digits.count(kinds[0]) == 1):
        return Fraction(digits.replace(",", "."))
    return None


def _one_dot(whole: str) -> bool:
    """`1.234` before a decimal comma: its full stop separates thousands there."""
    return re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", whole) is not None


def size(word: str) -> int | None:
    """The power of ten that `word` multiplies by: 6 for "million", also glued "M"; None for other words."""
    return next((power for words, power in _SIZE_WORDS if words.fullmatch(word)), None)


def is_percent(word: str) -> bool:
    """Whether `word` says percent."""
    return _PERCENT.fullmatch(word) is not None


def unit(word: str) -> str | None:
    """The symbol of the unit `word` names; None for a word that is none of the common units."""
    return next(
        (symbol or word for words, symbol in _UNIT_WORDS if words.fullmatch(word) or (len(word) > 2 and words.fullmatch(word.lower()))),
        None,
    )


def is_ordinal(suffix: str) -> bool:
    """Whether `suffix`, glued to digits, makes them an ordinal."""
    return _ORDINAL.fullmatch(suffix) is not None


def clock(digits: str) -> str:
    """A time of day, a date or a ratio in one form: `09:05` is `9:05`."""
    return re.sub(r"^0+(?=\d+:)", "", digits)
