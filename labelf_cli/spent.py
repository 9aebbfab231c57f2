"""What answers cost, as data; it adds up."""

from dataclasses import dataclass
from operator import add
from typing import Any

PARTS = ("reading", "tokenising", "models", "bookkeeping", "writing")


@dataclass(frozen=True)
class Spent:
    """Work that was done for some rows.

    Attributes:
        texts: distinct texts, blank ones aside.
        recalled: how many of them were answered from the memo or the work of others.
        cached: answers of models that came from the cache, one per text and model.
        calls: of models.
        tokens: that went through models, special ones included.
        padding: that went with them.
        requests: that were sent to services.
        prompt_tokens, completion_tokens: of language models, as the services count them.
        reading, tokenising, models, writing: processor seconds.
        bookkeeping: those for finding equal texts, looking answers up, ranking predictions.
    """

    texts: int = 0
    recalled: int = 0
    cached: int = 0
    calls: int = 0
    tokens: int = 0
    padding: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reading: float = 0.0
    tokenising: float = 0.0
    models: float = 0.0
    bookkeeping: float = 0.0
    writing: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(*map(add, vars(self).values(), vars(other).values()))

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``--report``."""
        return {
            "distinct_texts": self.texts,
            "recalled_texts": self.recalled,
            "cached_answers": self.cached,
            "model_calls": self.calls,
            "tokens": self.tokens,
            "padding": self.padding,
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "processor_seconds": {part: round(n, 3) for part, n in self.parts.items()},
        }

    @property
    def padding_share(self) -> float:
        """Of all that went through models."""
        return self.padding / max(self.tokens + self.padding, 1)

    @property
    def parts(self) -> dict[str, float]:
        """Processor seconds, in the order in which a row comes by."""
        return {part: getattr(self, part) for part in PARTS}
