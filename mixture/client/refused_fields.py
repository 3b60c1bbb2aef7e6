"""Fields of a request that an endpoint refuses by name: which of them a call can do without, or send under their other name."""

import re
from collections.abc import Mapping
from typing import Any

from mixture.client.protocol import Call
from mixture.errors import LLMRefused
from mixture.llm import RequestFields

SYNONYMS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}  # never left out: budgets rest on them
_ABOUT_THE_REQUEST = frozenset({400, 422})
_ABOUT_ITS_SIZE = "context_length_exceeded"  # such a refusal names limits too


def without_refused(call: Call, sent: Mapping[str, Any], taken: RequestFields, refused: LLMRefused) -> RequestFields:
    """`taken` and what `refused` names of the fields `sent`. Raises `refused` where it names none that the call can do without."""
    if refused.status not in _ABOUT_THE_REQUEST or refused.code == _ABOUT_ITS_SIZE:
        raise refused
    named = _named(sent, refused)
    rename = {name: SYNONYMS[name] for name in named if name in SYNONYMS and SYNONYMS[name] not in taken.rename}
    omit = named & _dispensable(call)
    if "logprobs" in omit:
        omit |= {"top_logprobs"}  # means nothing without the other
    if not rename and not omit:
        raise refused
    return RequestFields({**taken.rename, **rename}, taken.omit | omit)


def _dispensable(call: Call) -> frozenset[str]:
    """The names under which fields are sent that nobody asked for but us."""
    ours = {"temperature", "seed", "stream_options"} - call.options.keys()
    return frozenset(call.llm.request_fields.rename.get(name, name) for name in ours | call.optional)


def _named(sent: Mapping[str, Any], refused: LLMRefused) -> frozenset[str]:
    """The field that the refusal is about, or those that its words name."""
    if refused.param in sent:
        return frozenset({str(refused.param)})
    words = refused.what.removeprefix(f"{refused.llm}: ")
    return frozenset(name for name in sent if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words))
