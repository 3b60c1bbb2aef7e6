"""What is taken out of texts that are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.records import redaction
from monitoring.records.redaction import redact

FOUND = {
    "sk-" + "a" * 20: "[key]",
    "rk_" + "B" * 16: "[key]",
    "rm-" + "x" * 33: "[key]",
    "ghs_" + "A" * 22: "[key]",
    "AKIA" + "0" * 16: "[key]",
    "xoxb-1234567890": "[key]",
    "eyJabcdefgh.abcdefgh.x": "[key]",
    "-----BEGIN RSA PRIVATE KEY-----\nzz\n-----END RSA PRIVATE KEY-----": "[key]",
    "BeaRer " + "q" * 18: "BeaRer [key]",
    "paſsword: x": "paſsword: [secret]",  # a long s is an s where case is ignored
    "api\N{KELVIN SIGN}ey=3": "api\N{KELVIN SIGN}ey=[secret]",
    "the secret is out": "the secret is [secret]",
    "a.b@c.de": "[email]",
    "DE44 5001 0517 5407 3249 31": "[account]",
    "10.0.0.1": "[address]",
    "4111 1111 1111 1111": "[card]",
    "+49 30 1234567": "[phone]",
    "555-123-4567": "[phone]",
}


@pytest.mark.parametrize(("text", "kept"), FOUND.items())
def test_each_kind_is_found_within_a_text(text: str, kept: str) -> None:
    """Alone, and between words."""
    assert redact(text) == kept
    assert redact(f"say {text} now") == f"say {kept} now"


@given(st.lists(st.sampled_from([*FOUND, " ", "\n", "word", "٣" * 14, "k", "@"]), max_size=5).map("".join))
def test_what_is_not_tried_would_have_found_nothing(text: str) -> None:
    """A pattern that the words of a text rule out changes nothing of it."""
    tried = [redaction._KEY, redaction._BEARER, redaction._SECRET, redaction._EMAIL, redaction._ACCOUNT, redaction._ADDRESS]
    if redact(text) == text:
        assert not any(pattern.search(text) for pattern in tried)
        assert redaction._PHONE.search(text) is None
