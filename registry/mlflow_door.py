"""Scorer versions in MLflow: every call about them is made here (runs and files: registry.mlflow_runs)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from registry import mlflow_runs
from registry.errors import RegistryFailed, VersionUnknown
from registry.mlflow_rest import Rest
from registry.settings import Settings
from registry.version import Version, resolve

ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
PAGE = 1_000
ABOUT = "Predicts, from a query alone, which LLMs of its roster answer it well."


@dataclass(frozen=True, slots=True)
class Door:
    """MLflow at `url`, and the registered model `name` whose versions are our scorer versions.

    Every method raises RegistryUnreachable where MLflow does not answer, RegistryFailed where it refuses.
    """

    url: str
    name: str

    @classmethod
    def of(cls, settings: Settings | None) -> Self:
        """The door of a project; of this process's environment where `settings` is None."""
        settings = settings or Settings()
        return cls(settings.mlflow_url, settings.scorer_name)

    def versions(self) -> list[Version]:
        """All versions, the newest first; none where nothing was ever registered."""
        aliases, rows, token = self.aliases(), [], ""
        while True:
            page = self._rest("GET", "model-versions/search", filter=f"name='{self.name}'", max_results=PAGE, page_token=token)
            rows += page.get("model_versions", [])
            token = page.get("next_page_token", "")
            if not token:
                break
        rows.sort(key=lambda row: -int(row["version"]))
        return [_version(row, [alias for alias, number in aliases.items() if number == str(row["version"])]) for row in rows]

    def aliases(self) -> dict[str, str]:
        """The number that each alias points to, as they are written in MLflow."""
        try:
            model = self._rest("GET", "registered-models/get", name=self.name)["registered_model"]
        except RegistryFailed as exc:
            if exc.code in ABSENT:
                return {}
            raise
        return {each["alias"]: str(each["version"]) for each in model.get("aliases", [])}

    def version(self, number: str) -> Version:
        """The version called `number`. Raises VersionUnknown."""
        return _version(self._about(number, "GET", "model-versions/get")["model_version"])

    def by_alias(self, alias: str) -> Version | None:
        """The version that `alias` points to, in whatever case it is written (`registry.version.resolve`), or None."""
        number = resolve(alias, self.aliases())
        if number is None:
            return None
        try:
            return self.version(number)
        except VersionUnknown:
            return None  # deleted since

    def create_version(
        self, *, source: str, run_id: str, tags: Mapping[str, str], description: str, model_id: str | None = None
    ) -> Version:
        """A new version whose files are at `source`. model_id: the logged model that they are, which MLflow shows with it."""
        try:
            self._rest("POST", "registered-models/create", name=self.name, description=ABOUT)
        except RegistryFailed as exc:
            if exc.code != "RESOURCE_ALREADY_EXISTS":
                raise
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        fields = {"name": self.name, "source": source, "run_id": run_id, "tags": listed, "description": description}
        created = self._rest("POST", "model-versions/create", **fields, **({"model_id": model_id} if model_id else {}))
        return _version(created["model_version"])

    def set_alias(self, alias: str, number: str) -> None:
        """Moves `alias` to the version `number`. Raises VersionUnknown."""
        self._about(number, "POST", "registered-models/alias", alias=alias)

    def delete_alias(self, alias: str) -> None:
        """Removes `alias`, if it is there."""
        self._rest("DELETE", "registered-models/alias", name=self.name, alias=alias)

    def annotate(self, number: str, *, tags: Mapping[str, str], description: str | None = None) -> None:
        """Sets tags, and the description where one is given, of the version `number`. Raises VersionUnknown."""
        for key, value in tags.items():
            self._about(number, "POST", "model-versions/set-tag", key=key, value=value)
        if description is not None:
            self._about(number, "PATCH", "model-versions/update", description=description)

    def delete_tag(self, number: str, tag: str) -> None:
        """Removes `tag` from the version `number`. Raises VersionUnknown."""
        self._about(number, "DELETE", "model-versions/delete-tag", key=tag)

    def download(self, version: Version, target: Path) -> Path:
        """The scorer artifact of `version`, copied into `target`: nothing else of what MLflow keeps with it."""
        return mlflow_runs.download(self.url, version.artifact_source, target)

    def _rest(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        return Rest(self.url).call(method, path, **fields)

    def _about(self, number: str, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """A call about the version `number`. Raises VersionUnknown where there is none."""
        try:
            return self._rest(method, path, name=self.name, version=number, **fields)
        except RegistryFailed as exc:
            if exc.code in {*ABSENT, "INVALID_PARAMETER_VALUE"}:
                raise VersionUnknown(
                    f"Scorer version {number!r} is not in MLflow at {self.url}.", next_step="See `routemoa list`."
                ) from exc
            raise


def _version(row: Mapping[str, Any], aliases: list[str] | None = None) -> Version:
    return Version(
        version=str(row["version"]),
        aliases=tuple(sorted(row.get("aliases", []) if aliases is None else aliases)),
        tags={each["key"]: each.get("value", "") for each in row.get("tags", [])},
        description=row.get("description", ""),
        run_id=row.get("run_id", ""),
        source=row.get("source", ""),
        created_at=int(row["creation_timestamp"]) / 1000,
    )
