"""Pinned files from the Hugging Face hub, where it can be reached; what it serves is checked by the caller's own hash."""

from pathlib import Path

import httpx2
import structlog
from pydantic import BaseModel, ConfigDict

REACHED_WITHIN_S = 5.0  # one question to the hub before a download; behind a closed network it is not waited for
log = structlog.get_logger()


class HubFile(BaseModel):
    """A file of a repository on the hub (or on a mirror: HF_ENDPOINT)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str
    file: str
    revision: str = "main"


def out_of_reach() -> str:
    """Why the hub (or the mirror that HF_ENDPOINT names) cannot be asked, in a few words; "" where it answers, whatever it says."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        httpx2.head(constants.ENDPOINT, timeout=REACHED_WITHIN_S)
    except httpx2.HTTPError as exc:
        return f"{constants.ENDPOINT}: {type(exc).__name__}"
    return ""


def kept(repo: str) -> Path | None:
    """The folder of a repository that the hub's client has in its cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def download(wanted: HubFile, size: int, folder: Path) -> Path | None:
    """The file in `folder`; None where the hub cannot be reached, or has it in another size: nothing is waited for or loaded in vain."""
    from huggingface_hub import hf_hub_download, hf_hub_url

    url = hf_hub_url(wanted.repo, wanted.file, revision=wanted.revision)
    try:
        answer = httpx2.head(url, timeout=REACHED_WITHIN_S)
        offered = answer.headers.get("x-linked-size", answer.headers.get("content-length", ""))
        if answer.status_code >= 400 or offered != str(size):
            log.info("hub_has_another_file", url=url, status=answer.status_code, bytes=offered, wanted=size)
            return None
        return Path(hf_hub_download(wanted.repo, wanted.file, revision=wanted.revision, local_dir=folder))
    except (httpx2.HTTPError, OSError) as exc:  # every error of the hub's client is an OSError
        log.info("hub_not_reached", url=url, error=f"{type(exc).__name__}: {exc}"[:200])
        return None
