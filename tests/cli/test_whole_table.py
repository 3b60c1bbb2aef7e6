"""Tables whose figures are never cut."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from cli import whole_table


@pytest.mark.parametrize("terminal", ["dumb", "xterm"])
def test_no_figure_is_cut_on_a_narrow_terminal(terminal: str) -> None:
    """Whatever the terminal says it is; what is wider than it wraps there."""
    screen, table = StringIO(), Table("domain", "quality")
    table.add_row("d" * 90, "0.123456")
    whole_table.show(table, Console(file=screen, force_terminal=True, _environ={"TERM": terminal, "COLUMNS": "40"}))
    assert "d" * 90 in screen.getvalue()
    assert "0.123456" in screen.getvalue()
