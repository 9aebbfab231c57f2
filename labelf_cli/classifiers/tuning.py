"""How onnxruntime runs a graph fastest: ``labelf.json`` in the model folder."""

from labelf_cli.model_keys import Settings

TUNING = "labelf.json"

TOKEN_BUDGET = 512
"""Tokens in one call, padding included. 1024 was 6% slower for MiniLM, 2048 a fifth."""


class Tuning(Settings):
    """Content of ``labelf.json``, which ``labelf optimize`` writes.

    Attributes:
        disabled_optimizers: graph optimisations of onnxruntime that are switched off. They decide
            the last bits of a score. The default is what won for MiniLM's shape.
        token_budget: tokens in one call, padding included. It decides no bit.
        first_token: whether what a graph uses of the first token alone is computed for it alone,
            if a probe finds the same bits.
    """

    disabled_optimizers: tuple[str, ...] = ("SkipLayerNormFusion",)
    token_budget: int = TOKEN_BUDGET
    first_token: bool = True
