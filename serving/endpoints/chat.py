"""POST /v1/chat/completions."""

from fastapi import APIRouter, Request, Response

from serving.answers.answering import answered
from serving.dialects.spoken import CHAT

router = APIRouter()


@router.post(CHAT.path)
async def chat_completions(request: Request) -> Response:
    """A chat completion by a virtual model or an LLM of the pool, streamed or whole."""
    return await answered(request, CHAT)
