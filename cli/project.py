"""The project that a command is for: the current folder, or ROUTEMOA_HOME."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.errors import ProjectMissing
from registry.settings import Settings

if TYPE_CHECKING:
    from serving.settings import ServingSettings

POOL = Path("registry") / "pool.yaml"  # what makes a folder a project


def settings() -> Settings:
    """Where things are for the project, by the environment and the project's own `.env`; the folder may hold none."""
    home = Settings().home
    return Settings(_env_file=home / ".env", home=home)


def existing() -> Settings:
    """The same where there is a project.

    Raises ProjectMissing.
    """
    where = settings()
    check(where.home)
    return where


def with_draws() -> Settings:
    """The same, after the answers that came since are drawn for audits or not, as a running monitor would have done."""
    from monitoring import watch
    from monitoring.drift import policy

    where = existing()
    watch.draw_audits(where, policy.load(where.home / "params.yaml"))
    return where


def serving_settings() -> "ServingSettings":
    """The same as its server reads them. Raises ProjectMissing, BadParameter for a variable that is wrong."""
    from pydantic import ValidationError

    from serving.settings import ServingSettings, in_words

    home = existing().home
    try:
        return ServingSettings(_env_file=home / ".env", home=home)
    except ValidationError as exc:
        raise typer.BadParameter(in_words(exc)) from exc


def check(home: Path) -> None:
    """Raises ProjectMissing where `home` is no project's folder."""
    if (home / POOL).is_file():
        return
    nearest = next(map(str, _near(home.resolve())), "a checkout or in `.demo/full`, which `make demo` makes")
    raise ProjectMissing(
        f"{home.resolve()} is no RouteMoA project: it has no {POOL}.",
        next_step=f"Run this in {nearest}; or set ROUTEMOA_HOME to its folder; or make one: `routemoa init FOLDER`.",
    )


def _near(home: Path) -> Iterator[Path]:
    """Projects around `home`: folders above it, demos in it."""
    for folder in (*home.parents, home / ".demo" / "full", home / ".demo" / "small"):
        if (folder / POOL).is_file():
            yield folder
