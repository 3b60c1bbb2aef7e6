"""Where a project keeps what is in no file of it: PostgreSQL and S3, as its settings and DVC's name them."""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.bucket import SCHEME, Bucket
from registry.settings import Settings


@dataclass(frozen=True)
class Places:
    """databases: URLs, by the name of their file in a backup. buckets: by the name of their folder there."""

    databases: Mapping[str, str]
    buckets: Mapping[str, Bucket]


def of(settings: Settings) -> Places:
    """What the project of `settings` uses; nothing where all it keeps is in its folder."""
    databases = {"routemoa.dump": settings.database_url.get_secret_value(), "mlflow.dump": settings.mlflow_database.get_secret_value()}
    urls = {"mlflow": (settings.mlflow_artifacts, None), "dvc": _dvc_remote(settings.home)}
    return Places(
        {file: url for file, url in databases.items() if url.partition("://")[0].startswith("postgres")},
        {name: Bucket.at(url, endpoint) for name, (url, endpoint) in urls.items() if url.startswith(f"{SCHEME}://")},
    )


def _dvc_remote(home: Path) -> tuple[str, str | None]:
    """DVC's default remote and the server that its settings name for it; "" where there is none."""
    config = configparser.ConfigParser(strict=False, interpolation=None)
    config.read([home / ".dvc" / "config", home / ".dvc" / "config.local"], encoding="utf-8")
    section = f"'remote \"{config.get('core', 'remote', fallback='')}\"'"
    return config.get(section, "url", fallback=""), config.get(section, "endpointurl", fallback=None)
