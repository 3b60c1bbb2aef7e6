"""Tables whose figures are never cut: where a terminal is narrower than one, its lines wrap."""

from rich.console import Console, ConsoleDimensions
from rich.table import Table

WIDEST = 400


def show(table: Table, console: Console) -> None:
    """Prints it at its own width."""
    width = max(console.width, console.measure(table, options=console.options.update(max_width=WIDEST)).maximum)
    console.size = ConsoleDimensions(width, console.height)  # the width alone counts for nothing on a terminal that says it is dumb
    console.print(table)
