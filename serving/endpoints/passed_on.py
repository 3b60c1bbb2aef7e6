"""POST /v1/embeddings and /v1/completions: passed on to the LLM that they name."""

from fastapi import APIRouter, Request, Response

from serving.answers.answering import answered
from serving.dialects.spoken import COMPLETIONS, EMBEDDINGS

router = APIRouter()


@router.post(EMBEDDINGS.path)
async def embeddings(request: Request) -> Response:
    """Embeddings of texts by the LLM that is named."""
    return await answered(request, EMBEDDINGS)


@router.post(COMPLETIONS.path)
async def completions(request: Request) -> Response:
    """How the LLM that is named goes on with a text, streamed or whole."""
    return await answered(request, COMPLETIONS)
