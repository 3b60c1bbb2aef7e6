"""A project whose LLMs are a vendor's that bills."""

from typing import Any

from world import World, entry

PRICES = {
    "plain": {"input": 3.0, "output": 15.0, "cache_read": 0.3},
    "thinker": {"input": 1.25, "output": 10.0, "cache_read": 0.125, "reasoning": 12.0},
    "native": {"input": 2.0, "output": 8.0, "cache_read": 0.2},
}
CAN = ["tools", "json", "vision"]


class VendorWorld(World):
    """A project whose LLMs are the vendor's."""

    def pool(self) -> dict[str, Any]:
        """Two that speak chat completions alone, and some that speak responses, too."""
        chat_only = {name: entry(self.base_url, name, price=PRICES[name], capabilities=CAN) for name in ("plain", "thinker")}
        natives = {
            name: entry(self.base_url, name, price=PRICES["native"], capabilities=CAN)
            for name in ("native", "breaking", "refusing", "cutting", "stalling")
        }
        for each in natives.values():
            each["endpoint"]["dialects"] = ["chat", "responses"]
        natives["stalling"]["limits"] = {**natives["native"]["limits"], "between_chunks_s": 1}
        natives["hard"] = {**natives["native"], "effort": "high"}
        natives["prompted"] = {**natives["native"], "prompt": {"system": "You are terse."}}
        return {
            llm: {**each, "context_window": 200_000, "effort_way": "reasoning_effort"} for llm, each in {**chat_only, **natives}.items()
        }
