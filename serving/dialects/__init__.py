"""The dialects that requests and answers are written in: OpenAI's chat completions and responses, Anthropic's messages."""
