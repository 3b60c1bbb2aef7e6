"""`routemoa keys`: created, listed, revoked, as by `python -m serving.keys`."""

from pathlib import Path

from serving import keys
from serving.errors import KeysRefused
from tests.cli.command_line import output, refusal, usage_error


def test_the_life_of_a_key(home: Path) -> None:
    """Printed once and kept as a hash with its scopes; gone when it is revoked, and then it cannot be revoked again."""
    key = output("keys", "create", "support-bot", "--scope", "chat", "--scope", "feedback").strip()
    file = home / "var" / "keys.json"
    assert keys.read(file).holder(f"Bearer {key}").scopes == ("chat", "feedback")
    assert key not in file.read_text()
    assert output("keys", "list") == "support-bot\tchat,feedback\n"
    assert output("keys", "revoke", "support-bot") == ""
    assert output("keys", "list") == ""
    assert "No key is called 'support-bot'" in str(refusal(KeysRefused, "keys", "revoke", "support-bot"))


def test_an_unknown_scope_is_refused_with_those_there_are(home: Path) -> None:
    """Nothing is created."""
    said = usage_error("keys", "create", "bot", "--scope", "chta")
    assert "chta" in said
    assert "chat" in said
    assert not (home / "var" / "keys.json").exists()
