"""Options of a request may be headers, in every dialect: they say what `routemoa` would, and the body goes before them."""

import pytest

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]
DIALECTS = {
    "/v1/chat/completions": {"messages": ASK},
    "/v1/responses": {"input": ASK[0]["content"]},
    "/v1/messages": {"messages": ASK, "max_tokens": 50},
}


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize(
    ("headers", "option", "value"),
    [
        ({"k": "1"}, "k", 1),
        ({"max-layers": "1"}, "max_layers", 1),
        ({"budget-usd": "0.5"}, "budget_usd", 0.5),
        ({"aggregation": "best"}, "aggregation", "best"),
        ({"data-policy": "local, vendor"}, "data_policy", ["local", "vendor"]),
    ],
)
def test_a_header_is_an_option(client, path: str, headers: dict[str, str], option: str, value: object) -> None:
    """As the decision has it."""
    told = {f"x-routemoa-{name}": text for name, text in {**headers, "explain": "true"}.items()}
    answer = client.post(path, json={"model": "routemoa", **DIALECTS[path]}, headers=told)
    assert answer.status_code == 200, answer.text
    used = answer.json()["routemoa"]["decision"]["options"][option]
    assert (sorted(used) if isinstance(used, list) else used) == value


@pytest.mark.parametrize("path", DIALECTS)
def test_the_body_goes_before_a_header(client, path: str) -> None:
    """And null is not said."""
    for body, usd in (({"budget_usd": 0.25}, 0.25), (None, 0.5)):
        sent = {"model": "routemoa", **DIALECTS[path], "routemoa": body}
        answer = client.post(path, json=sent, headers={"x-routemoa-budget-usd": "0.5", "x-routemoa-explain": "true"})
        assert answer.json()["routemoa"]["decision"]["options"]["budget_usd"] == usd


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize(("name", "text"), [("k", "x"), ("k", "0"), ("budget-usd", "nan"), ("explain", "maybe"), ("deadline-s", "-1")])
def test_a_header_that_cannot_be_read_is_refused(client, path: str, name: str, text: str) -> None:
    """By its name, or by the option's."""
    answer = client.post(path, json={"model": "routemoa", **DIALECTS[path]}, headers={f"x-routemoa-{name}": text})
    assert answer.status_code == 400
    assert name.replace("-", "_") in answer.json()["error"]["param"].replace("-", "_")
