"""What becomes of a request in Anthropic's dialect: nothing said in it is lost, and what is wrong with it is named in its own words."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.malformed_bodies import ODD
from mixture.client.provider_state import KEY, as_sent
from mixture.client.thinking_state import ThinkingState
from mixture.llm import LLM
from mixture.price import Price
from serving.dialects.messages_request import as_chat
from serving.dialects.messages_schema import MessagesRequest, parse
from serving.errors import RequestRefused
from serving.request.protocol import ChatRequest, checked

KEPT = {"type": "ephemeral"}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
CACHING = LLM("caching", "caching", Price(3.0, 15.0, cache_read=0.3, cache_write=3.75))
PLAIN = LLM("plain", "plain", Price(1.0, 2.0))


def body(**fields: Any) -> dict[str, Any]:
    """A request, the least that is one but for `fields`."""
    return {"model": "echo", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}], **fields}


def chat(**fields: Any) -> dict[str, Any]:
    """What it becomes."""
    translated = as_chat(parse(MessagesRequest, orjson.dumps(body(**fields)))[0])
    checked(ChatRequest, translated)
    return translated


def turns(*content: Any, role: str = "user") -> list[dict[str, Any]]:
    """One turn of these blocks."""
    return [{"role": role, "content": list(content)}]


def text(words: str, **further: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **further}


def test_every_field_has_its_place() -> None:
    """The fields of the dialect that mean something to any LLM."""
    translated = chat(
        system="Be brief.",
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stream=True,
        tools=[{"name": "add", "description": "adds", "input_schema": {"type": "object"}, "strict": True}],
        tool_choice={"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2000},
        max_tokens=4000,
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        metadata={"user_id": "u-1"},
        routemoa={"k": 2},
    )
    assert translated == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "stop": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stream": True,
        "tools": [
            {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}, "strict": True}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "medium",
        "max_tokens": 4000,
        "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": {"type": "object"}, "strict": True}},
        "user": "u-1",
        "routemoa": {"k": 2},
    }


@pytest.mark.parametrize(("choice", "meant"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_tool_choice(choice: str, meant: str) -> None:
    """The chat dialect has its own words for it."""
    assert chat(tool_choice={"type": choice})["tool_choice"] == meant


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 30000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 60000}}, "high"),
        ({"output_config": {"effort": "max"}}, "high"),
        ({"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}, "low"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_thinking_is_an_effort(fields: dict[str, Any], effort: str | None) -> None:
    """A budget of tokens is a level by its share of the answer; where the LLM decides, nothing is said."""
    assert chat(max_tokens=64000, **fields).get("reasoning_effort") == effort


def test_a_long_user_id_is_shortened() -> None:
    """Endpoints take 64 characters; the same user stays the same."""
    long = {"metadata": {"user_id": "user_" + "x" * 100}}
    assert chat(**long)["user"] == chat(**long)["user"]
    assert len(chat(**long)["user"]) == 64


def test_calls_and_results_of_tools() -> None:
    """Calls keep their ids; results follow them at once, before what the user says beside them; an error is said in words."""
    translated = chat(
        messages=[
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": [text("I add."), {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]},
            {
                "role": "user",
                "content": [
                    text("<system-reminder>go on</system-reminder>"),
                    {"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True},
                ],
            },
        ]
    )
    call = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    assert translated["messages"] == [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": "I add.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "Error:\n\nno such file"},
        {"role": "user", "content": "<system-reminder>go on</system-reminder>"},
    ]


def test_images_of_tools_follow_their_results() -> None:
    """A tool's message holds words alone."""
    shown = {"type": "tool_result", "tool_use_id": "t1", "content": [text("seen"), {"type": "image", "source": PIXEL}]}
    told, follows = as_sent(PLAIN, chat(messages=turns(shown, text("and?")))["messages"])
    assert told == {"role": "tool", "tool_call_id": "t1", "content": "seen\n\n[1 shown below]"}
    assert follows["content"] == [
        text("[shown by t1]"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        text("and?"),
    ]


def test_documents_and_search_results() -> None:
    """A PDF is a file; what is text is told as text."""
    pdf = {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "eA=="}}
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "the law"}}
    found = {"type": "search_result", "source": "https://a.example", "title": "A", "content": [text("one"), text("two")]}
    parts = chat(messages=turns(pdf, plain, found))["messages"][0]["content"]
    assert parts[0] == {"type": "file", "file": {"file_data": "data:application/pdf;base64,eA==", "filename": "a.pdf"}}
    assert [part["text"] for part in parts[1:]] == ["the law", "A (https://a.example)\none\ntwo"]


def test_cache_marks_go_where_they_mean_something() -> None:
    """Where writing a cache has its own price the prefixes end where the caller said; any other LLM gets plain text."""
    messages = chat(
        system=[text("long", cache_control=KEPT), text("tail")],
        messages=turns(text("question", cache_control={"type": "ephemeral", "ttl": "1h"}), {"type": "image", "source": PIXEL}),
    )["messages"]
    system, asked = as_sent(CACHING, messages)
    assert system["content"] == [text("long", cache_control=KEPT), text("\n\ntail")]
    assert asked["content"][0] == text("question", cache_control={"type": "ephemeral", "ttl": "1h"})
    system, asked = as_sent(PLAIN, messages)
    assert system == {"role": "system", "content": "long\n\ntail"}
    assert asked["content"][0] == text("question")


def test_the_mark_of_the_whole_request_is_its_end() -> None:
    """`cache_control` beside the messages is a mark on the last of them."""
    messages = chat(cache_control=KEPT)["messages"]
    assert as_sent(CACHING, messages)[0]["content"] == [text("hello", cache_control=KEPT)]
    assert as_sent(PLAIN, messages) == [{"role": "user", "content": "hello"}]


def thought(state: ThinkingState, words: str = "hm") -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": state.sealed()}


def test_thoughts_go_back_to_who_had_them() -> None:
    """With their signatures unchanged, and to no other LLM."""
    signed = {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "sig"}]}
    messages = chat(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [thought(ThinkingState("plain", fields=signed)), text("b")]},
            {"role": "user", "content": "c"},
        ]
    )["messages"]
    assert as_sent(PLAIN, messages)[1] == {"role": "assistant", "content": "b", **signed}
    assert as_sent(CACHING, messages)[1] == {"role": "assistant", "content": "b"}


def test_bare_thoughts_go_back_while_tools_are_at_work() -> None:
    """Endpoints that send no signature want their thoughts back in a loop of tools, and not after it."""
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1"}
    loop = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought(ThinkingState("plain", text="reasoning_content")), use]},
        {"role": "user", "content": [result]},
    ]
    assert as_sent(PLAIN, chat(messages=loop)["messages"])[1]["reasoning_content"] == "hm"
    after = [*loop, {"role": "assistant", "content": "1"}, {"role": "user", "content": "b"}]
    assert "reasoning_content" not in as_sent(PLAIN, chat(messages=after)["messages"])[1]


def test_another_servers_signature_goes_to_nobody() -> None:
    """Nobody here knows whose it is."""
    messages = chat(
        messages=[*turns(text("a")), {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]}]
    )
    assert messages["messages"][1] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": turns(text(4))}, "messages.0.content.0.text"),  # type: ignore[arg-type]
        ({"messages": turns({"type": "text"})}, "messages.0.content.0.text"),
        ({"messages": turns({"type": "image", "source": {"type": "url", "url": "http://127.0.0.1"}})}, "messages.0.content.0.source"),
        ({"messages": turns({"type": "image", "source": {"type": "file", "file_id": "f"}})}, "messages.0.content.0.source"),
        ({"messages": turns({"type": "image", "source": PIXEL | {"url": "http://127.0.0.1"}})}, "messages.0.content.0.source"),
        ({"messages": turns({"type": "image", "source": PIXEL | {"media_type": "image/tiff"}})}, "messages.0.content.0"),
        ({"messages": turns({"type": "server_tool_use"})}, "messages.0.content.0"),
        ({"messages": turns({"type": "tool_use", "id": "t", "name": "f", "input": {}})}, "messages.0"),
        ({"messages": turns({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "x"}]})}, "messages.0.content.0.content.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
        ({"temperature": 1.5}, "temperature"),
        ({"mcp_servers": [{"type": "url", "url": "http://127.0.0.1"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"routemoa": {"k": 0}}, "routemoa.k"),
        ({"routemoa": {"kk": 1}}, "routemoa.kk"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    """By the name that its caller wrote, and without the value."""
    with pytest.raises(RequestRefused) as refused:
        chat(**fields)
    assert refused.value.param == param


def test_too_many_blocks_are_refused_before_they_are_checked() -> None:
    """Blocks inside results of tools count, as parts do in the chat dialect."""
    many = {"type": "tool_result", "tool_use_id": "t", "content": [text("x")] * 2001}
    with pytest.raises(RequestRefused, match="2003 messages and blocks, of at most 2000"):
        chat(messages=turns(many))


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text("abcdefgh_", min_size=1, max_size=12)
marks = st.sampled_from([{}, {"cache_control": KEPT}])
texts = st.builds(lambda said, mark: text(said, **mark), words, marks)
images = st.just({"type": "image", "source": PIXEL})
uses = st.builds(
    lambda at, name, given: {"type": "tool_use", "id": at, "name": name, "input": given},
    names,
    names,
    st.dictionaries(names, words, max_size=3),
)
results = st.builds(
    lambda at, content, failed: {"type": "tool_result", "tool_use_id": at, "content": content, "is_error": failed},
    names,
    st.one_of(words, st.lists(st.one_of(texts, images), max_size=3)),
    st.booleans(),
)
thinking = st.builds(lambda said: {"type": "thinking", "thinking": said, "signature": "s"}, words)
turn = st.one_of(
    st.builds(
        lambda content: {"role": "user", "content": content}, st.one_of(words, st.lists(st.one_of(texts, images, results), min_size=1))
    ),
    st.builds(lambda content: {"role": "assistant", "content": content}, st.lists(st.one_of(texts, uses, thinking), min_size=1)),
)


def said_in(value: Any) -> list[str]:
    """Every text of a request in either dialect that an LLM is to read."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [each for part in value for each in said_in(part)]
    return said_in(value.get("text", value.get("content", []))) if isinstance(value, dict) else []


@given(st.lists(turn, min_size=1, max_size=6), st.sampled_from([PLAIN, CACHING]))
def test_no_text_and_no_call_is_lost(conversation: list[dict[str, Any]], llm: LLM) -> None:
    """Whatever a conversation holds, all words, calls, results and images of it arrive, in the order of the turns."""
    messages = as_sent(llm, chat(messages=conversation)["messages"])
    blocks = [
        block for each in conversation for block in ([text(each["content"])] if isinstance(each["content"], str) else each["content"])
    ]
    everything = "\n\n".join(["".join(said_in(each.get("content"))) for each in messages])
    for block in blocks:
        for words_of in said_in(block) if block["type"] != "thinking" else []:
            assert words_of in everything
    called = [block for block in blocks if block["type"] == "tool_use"]
    calls = [call for each in messages for call in each.get("tool_calls", ())]
    assert [(each["id"], each["name"]) for each in called] == [(each["id"], each["function"]["name"]) for each in calls]
    assert [each["input"] for each in called] == [orjson.loads(each["function"]["arguments"]) for each in calls]
    results_of = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    assert results_of == [each["tool_call_id"] for each in messages if each["role"] == "tool"]
    parts = [part for each in messages if isinstance(each["content"], list) for part in each["content"]]
    inner = [each for block in blocks if isinstance(block.get("content"), list) for each in block["content"]]
    assert sum(part["type"] == "image_url" for part in parts) == sum(block["type"] == "image" for block in [*blocks, *inner])
    assert not any(KEY in each for each in messages)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False), words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(names, st.sampled_from(["type", "content"])), inner, max_size=4)
    ),
    max_leaves=12,
)
FULL = body(
    system=[text("s", cache_control=KEPT)],
    messages=[
        *turns(text("a"), {"type": "image", "source": PIXEL}),
        {
            "role": "assistant",
            "content": [thought(ThinkingState("plain")), {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}}],
        },
        *turns({"type": "tool_result", "tool_use_id": "t", "content": [text("b")], "is_error": True}),
    ],
    tools=[{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
    tool_choice={"type": "tool", "name": "f"},
    thinking={"type": "enabled", "budget_tokens": 1024},
    output_config={"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    metadata={"user_id": "u", "routemoa": {"k": 1, "weights": {"usd": 3}}},
    max_tokens=2000,
    stop_sequences=["x"],
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container in a tree with each of its keys."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in [(tree, key), *places(tree[key])]]


@given(st.data(), st.one_of(json_values, st.sampled_from(ODD)))
def test_anything_is_translated_or_refused(data: st.DataObject, odd: Any) -> None:
    """Any value in any place of a request: a translation that the inner form takes, or a RequestRefused."""
    tree = copy.deepcopy(FULL)
    container, key = data.draw(st.sampled_from(places(tree)))
    container[key] = odd
    try:
        content = orjson.dumps(tree)
    except orjson.JSONEncodeError:  # of ODD: what JSON does not hold
        return
    try:
        translated = as_chat(parse(MessagesRequest, content)[0])
        checked(ChatRequest, translated)
    except RequestRefused:
        return
    for llm in (PLAIN, CACHING):
        orjson.dumps(as_sent(llm, translated["messages"]))
