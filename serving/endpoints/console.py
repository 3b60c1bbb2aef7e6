"""GET /: the way to the console, which is a process of its own (`python -m console`)."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from serving.state import state_of

router = APIRouter()


@router.get("/")
async def page(request: Request) -> RedirectResponse:
    """A person who opens the server's address in a browser is sent on."""
    return RedirectResponse(
        state_of(request).settings.console_url, headers={"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8"}
    )
