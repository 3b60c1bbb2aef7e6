"""GET /: the console, one self-contained page; it asks for an API key and talks to the API like anybody else."""

import html
from pathlib import Path

from fastapi import APIRouter, Request, Response

from serving.state import state_of

router = APIRouter()
PAGE = Path(__file__).with_name("console.html")
# Nothing from elsewhere runs in it, and it runs in nobody's frame.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"


@router.get("/")
async def page(request: Request) -> Response:
    """The page, told where MLflow and Evidently are."""
    settings = state_of(request).settings
    page_text = PAGE.read_text(encoding="utf-8")
    for name, address in (("mlflow", settings.mlflow_url), ("evidently", settings.evidently_url)):
        page_text = page_text.replace(f"{{{{{name}}}}}", html.escape(address))
    return Response(page_text, media_type="text/html", headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
