"""The decision that an answer's id names, in whatever dialect it was written."""

PREFIXES = ("chatcmpl-", "resp_", "msg_")  # of chat completions, responses and messages


def decision_of(answer_id: str) -> str:
    """The id of the decision; `answer_id` itself where it is one."""
    return next((answer_id.removeprefix(each) for each in PREFIXES if answer_id.startswith(each)), answer_id)
