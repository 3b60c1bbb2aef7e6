"""Takes what must not be kept out of a text: e-mail and network addresses, telephone, card and account numbers, keys and passwords.

These are patterns of the forms such things are usually written in. Not caught: names, postal addresses, birthdays, numbers written
as words, identity numbers of most countries, secrets without a known prefix, anything split over lines. Where that matters, keep no text.

A pattern that repeats without end starts only where such a repetition starts: a text must not make the search begin anew at each of its
characters, for servers redact too. A pattern is tried only on a text that holds one of the words, or a digit, which each of its finds has.
"""

import re
from typing import Any

_KEYS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic, Stripe
    r"\brm-[A-Za-z0-9_-]{32,}",  # our own (serving.access.keys)
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",  # GitHub
    r"\bAKIA[0-9A-Z]{16}\b",  # AWS
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",  # JSON web tokens
)
MARKS = ("[key]", "[secret]", "[email]", "[account]", "[address]", "[card]", "[phone]")
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_KEY = re.compile("|".join(_KEYS))
_KEY_WORDS = ("PRIVATE KEY-----", *(f"{kind}k{sign}" for kind in "spr" for sign in "-_"), "rm-", *(f"gh{kind}_" for kind in "pousr"))
_KEY_WORDS += ("AKIA", "xox", "eyJ")
_BEARER = re.compile(r"(?i)(\bbearer )[A-Za-z0-9._~+/-]{16,}=*")
_SECRET = re.compile(r"(?i)(\b(?:password|passwort|secret|api[_ -]?key)\b\s*(?:is\b|[:=])\s*)\S+")
_SECRET_WORDS = ("password", "passwort", "secret", "key")
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b")
_DIGIT = re.compile(r"\d")
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")  # IBAN
_ADDRESS = re.compile(rf"\b(?:{_BYTE}\.){{3}}{_BYTE}\b")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_INTERNATIONAL = r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}"
_PHONE = re.compile(rf"(?<![\w.])(?:{_INTERNATIONAL}|\(?\d{{3}}\)?[ .-]\d{{3}}[ .-]\d{{4}})(?![\w])")


def redact(text: str) -> str:
    """`text` with each find replaced by its kind in brackets, such as `[email]`."""
    if any(word in text for word in _KEY_WORDS):
        text = _KEY.sub("[key]", text)
    folded = text.casefold()
    if "bearer" in folded:
        text = _BEARER.sub(r"\1[key]", text)
    if any(word in folded for word in _SECRET_WORDS):
        text = _SECRET.sub(r"\1[secret]", text)
    if "@" in text:
        text = _EMAIL.sub("[email]", text)
    if _DIGIT.search(text) is None:
        return text
    text = _ACCOUNT.sub("[account]", text)
    text = _ADDRESS.sub("[address]", text)
    text = _CARD.sub(lambda match: "[card]" if _checks(match[0]) else match[0], text)
    return _PHONE.sub("[phone]", text)


def has_secrets(text: str) -> bool:
    """Whether something of `text` must not be kept, or was not: what stands in its place marks it."""
    return redact(text) != text or any(mark in text for mark in MARKS)


def redact_texts(tree: Any, names: frozenset[str]) -> Any:
    """A JSON value with each text that stands under one of these names redacted, however deep."""
    if isinstance(tree, dict):
        return {
            name: redact(value) if name in names and isinstance(value, str) else redact_texts(value, names) for name, value in tree.items()
        }
    return [redact_texts(value, names) for value in tree] if isinstance(tree, list) else tree


def _checks(number: str) -> bool:
    """Whether the digits' Luhn checksum is a card number's; other long numbers are arithmetic, and stay."""
    digits = [int(digit) for digit in reversed(re.sub(r"\D", "", number))]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
