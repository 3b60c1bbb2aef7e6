"""What a host copies from the database that it shares with others, where the copy itself cannot be written."""

import asyncio
from pathlib import Path

import pytest
from world import World

from monitoring import looks
from serving.events import Events
from serving.worker.shared_copies import SharedCopies


@pytest.mark.slow
def test_following_goes_on_after_a_disk_that_took_nothing(tmp_path: Path, database_url: str) -> None:
    """The host says why it answers nothing meanwhile, and answers again by itself."""
    settings = World(tmp_path, "http://127.0.0.1:9/v1", database_url=database_url).settings()
    reports = looks.folder(settings)

    async def story() -> None:
        events = Events()
        copies = SharedCopies(settings, events)
        await copies.first()
        assert copies.refusal is None
        reports.write_text("where a folder should be")
        following = asyncio.create_task(copies.follow())
        async with asyncio.timeout(60):
            while copies.refusal is None:  # noqa: ASYNC110  it changes in a thread
                await asyncio.sleep(0.01)
            assert "NotADirectoryError" in copies.refusal.what
            reports.unlink()
            while copies.refusal is not None and not following.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not following.done()
        assert [event["event"] for event in events.recent()] == ["KeysFileRefused"]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        copies.close()

    asyncio.run(story())
