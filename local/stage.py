"""What the demo's acts are played on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.held_back import HeldBack
from local.plan import Plan
from local.stack import Stack, stay, where
from local.story import Story
from local.traffic import Visitor


@dataclass
class Stage:
    """What the acts are played on."""

    story: Story
    platform: Stack
    plan: Plan

    @property
    def home(self) -> Path:
        """The project's folder."""
        return self.platform.settings.home

    @property
    def held_back(self) -> HeldBack:
        """What the first scorer does not know of."""
        return HeldBack(self.home)

    @property
    def visitor(self) -> Visitor:
        """A user of the server."""
        return Visitor(self.platform.addresses.server, self.platform.api_key, self.plan.patience)

    def visitors(self) -> list[Visitor]:
        """The same user, at each server."""
        return [Visitor(server.url, self.platform.api_key, self.plan.patience) for server in self.platform.servers] or [self.visitor]

    def play(self, acts: Iterable[Callable[["Stage"], None]], *, stay_up: bool) -> None:
        """All of them, then what they came to; then until Ctrl-C, where it stays up."""
        for act in acts:
            act(self)
        self.story.console.print(self.story.table())
        self.story.end()
        if stay_up:
            self.story.console.print(where(self.platform))
            stay(self.platform)

    def act(self, key: str, title: str) -> Any:
        """One act; what to try where it fails is the demo again, which goes on there."""
        return self.story.act(key, title, f"{self.plan.command} (it goes on with this act)")

    def served_file(self, key: str) -> Path:
        """Where an act keeps what was served, query by query."""
        return self.held_back.folder / f"{key}.jsonl"

    def version_folder(self, version: str) -> Path:
        """A copy of a version's artifact."""
        return self.held_back.folder / "scorers" / version
