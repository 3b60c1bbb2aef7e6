"""data.dvc: what DVC tracks and `dvc push` passes on of data/. The user's part is; the texts of packages, in the query pool, are not."""

from pathlib import Path

from ruamel.yaml import YAML

from pipelines.project import Project


def tracked(project: Project) -> list[Path]:
    """The files of data/ that DVC tracks, in order: all but the query pool where .dvcignore names it."""
    files = sorted(path for path in project.data.rglob("*") if path.is_file())
    return [path for path in files if path != project.queries] if _ignores_pool(project) else files


def let_push(project: Project) -> bool:
    """Takes `push: false` out of data.dvc, as versions before put it there for the packaged queries' sake; whether it was there.

    It stays where DVC does not ignore the file that holds those.
    """
    if not _ignores_pool(project) or not project.data_pin.exists():
        return False
    yaml = YAML(typ="rt")
    pinned = yaml.load(project.data_pin)
    (out,) = pinned["outs"]
    if out.get("push", True):
        return False
    del out["push"]
    out.pop("desc", None)
    yaml.dump(pinned, project.data_pin)
    return True


def _ignores_pool(project: Project) -> bool:
    ignored = project.dvcignore.read_text(encoding="utf-8").splitlines() if project.dvcignore.exists() else []
    return f"/{project.name_of(project.queries)}" in ignored
