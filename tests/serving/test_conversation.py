"""What reaches an LLM: text and media that came with the request, never an address to fetch."""

import pytest

from serving.errors import RequestRefused
from serving.request.protocol import ChatRequest, parse

FAR = "https://10.0.0.1/secret"
PNG, PDF = "data:image/png;base64,iVBORw0K", "data:application/pdf;base64,JVBERi0="


def request(content=None, message=None, **fields):
    import orjson

    messages = [{"role": "user", "content": "hello" if content is None else content, **(message or {})}]
    return parse(ChatRequest, orjson.dumps({"model": "echo", "messages": messages, **fields}))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": f"What is at {FAR}?"},
        {"type": "text", "text": FAR, "cache_control": {"type": "ephemeral"}},
        {"type": "refusal", "refusal": "No."},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "JVBERi0=", "filename": "a.pdf"}},
    ],
)
def test_what_comes_with_the_request_is_taken(part) -> None:
    """Text may name any address; images, sounds and files are base64."""
    request([part])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": FAR}},
        {"type": "image_url", "image_url": FAR},
        {"type": "image_url", "image_url": {"url": PNG, "fallback": FAR}},
        {"type": "input_image", "image_url": FAR},
        {"type": "input_image", "image_url": PNG},
        {"type": "video_url", "video_url": {"url": FAR}},
        {"type": "audio_url", "audio_url": {"url": FAR}},
        {"type": "image", "source": {"type": "url", "url": FAR}},
        {"type": "document", "source": {"type": "url", "url": FAR}},
        {"type": "input_file", "file_url": FAR},
        {"type": "input_audio", "input_audio": {"data": FAR, "format": "wav"}},
        {"type": "file", "file": {"file_url": FAR}},
        {"type": "file", "file": {"file_data": FAR}},
        {"type": "file", "file": {"file_id": "file-of-somebody"}},
        {"type": "file", "file": {"file_data": PDF, "file_url": FAR}},
        {"type": "text", "text": "x", "video_url": {"url": FAR}},
        {"type": "text", "text": "x", "image_url": {"url": PNG}},
        {"type": "web_fetch", "text": "x"},
        {"type": "text"},
        {"type": ["text"], "text": "x"},
        {"text": "x"},
    ],
)
def test_parts_of_other_kinds_are_refused(part) -> None:
    """Also those that today's endpoints do not know."""
    with pytest.raises(RequestRefused, match=r"messages\.0"):
        request([part])


@pytest.mark.parametrize("scheme", ["http://x", "HTTPS://x", " ftp://x", "file:///etc/passwd", "file:/etc/passwd", "s3://b/k", "gs://b/k"])
def test_an_address_elsewhere_is_refused(scheme) -> None:
    """In fields of messages, of tools that an endpoint runs, and of the request, however deep."""
    for fields in (
        {"message": {"images": [scheme]}},
        {"message": {"attachments": [{"where": {"url": scheme}}]}},
        {"documents": [{"url": scheme}]},
        {"plugins": [{"id": "file-parser", "from": scheme}]},
        {"tools": [{"type": "mcp", "server_url": scheme}]},
    ):
        with pytest.raises(RequestRefused, match="names an address"):
            request(**fields)


def test_an_address_that_is_text_is_not() -> None:
    """What an LLM only reads, and what nobody reads."""
    request(
        message={"name": FAR, "reasoning_content": FAR, "annotations": [{"type": "url_citation", "url_citation": {"url": FAR}}]},
        metadata={"page": FAR},
        user=FAR,
        stop=[FAR],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"$schema": FAR}}},
        tools=[{"type": "function", "function": {"name": "get", "description": FAR, "parameters": {"$id": FAR}}}],
        reasoning_effort="low",
    )


@pytest.mark.parametrize("kind", [[], {}, 1, True])
def test_a_type_that_is_no_text_is_refused(kind) -> None:
    """Of a tool, and of a call of one."""
    for fields in ({"tools": [{"type": kind}]}, {"message": {"role": "assistant", "tool_calls": [{"type": kind}]}}):
        with pytest.raises(RequestRefused, match="type"):
            request(**fields)
    request(functions=[{"type": kind, "name": "f"}])
