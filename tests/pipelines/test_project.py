"""Where a project's files lie."""

from pathlib import Path

from ruamel.yaml import YAML

from pipelines.project import Project

ROOT = Path(__file__).parents[2]
PROJECT = Project(Path("/some/where"))


def paths() -> dict[str, Path]:
    """Every path of a project, by its name; of an LLM or import where it needs one."""
    members = {name: getattr(PROJECT, name) for name in dir(Project) if not name.startswith("_") and name not in {"name_of", "home"}}
    return {name: member("x") if callable(member) else member for name, member in members.items()}


def test_every_path_is_inside_and_no_two_are_the_same() -> None:
    """Two names for one file would let stages overwrite each other."""
    assert len(paths()) == len(set(paths().values())) > 30
    assert all(path.is_relative_to(PROJECT.home) for path in paths().values())
    assert PROJECT.name_of(PROJECT.answers("x")) == "build/answers/x.parquet"


def test_what_dvc_keeps_is_what_stages_write() -> None:
    """Each output and metric of dvc.yaml is a path of the project; a folder may hold one for each LLM."""
    names = {PROJECT.name_of(path) for path in paths().values()}
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].values()
    for stage in (each.get("do", each) for each in stages):
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            (path,) = out if isinstance(out, dict) else (out,)
            assert path.replace("${key}", "x") in names
