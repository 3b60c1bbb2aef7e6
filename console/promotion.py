"""Promoting and rolling back: asked for once more, done by the worker as a job of the server's API, and waited for."""

from nicegui import ui

from console import dialogs, work
from console.frame import View
from console.work import Reload
from registry.version import Version


def promote(view: View, version: Version, reload: Reload) -> None:
    """A dialog that makes a version champion; where its gate has not passed it asks why."""

    async def confirmed() -> None:
        if not passed and not why.value.strip():
            why.props('error error-message="Say why; it is kept with the version."')
            return
        body = {"version": version.version} | ({} if passed else {"override": why.value.strip()})
        dialog.close()
        await work.done(
            view,
            view.api.post("/admin/scorer/promote", body),
            reload,
            f"Version {version.version} is champion; servers follow within 5 seconds.",
        )

    passed = version.gate == "passed"
    about = "Its gate passed. Servers follow within 5 seconds, and a rollback undoes it."
    told = about if passed else f"Its gate: {version.gate}. Promoting it needs a reason."
    with dialogs.asking(f"Promote version {version.version}?", told, does="Promote it", action=confirmed) as dialog:
        why = ui.input("Why, although its gate has not passed").props("outlined").classes("w-full")
        why.set_visibility(not passed)


def roll_back(view: View, before: str, reload: Reload) -> None:
    """A dialog that returns to the champion `before`."""

    async def confirmed() -> None:
        dialog.close()
        await work.done(view, view.api.post("/admin/scorer/rollback", {}), reload, f"Version {before} is champion again.")

    about = "The version that is left is marked, and no rollback returns to it."
    with dialogs.asking(f"Return to version {before}?", about, does="Roll back", action=confirmed, kind="danger") as dialog:
        pass
