"""The longest text that a model takes, by transformers' rules."""

from collections.abc import Mapping
from typing import Any

from labelf_cli.classifiers.interface import Because

# transformers writes 1e30 where a tokenizer has no limit.
_SANE_LENGTH = 1_000_000

# Families whose positions start behind the padding token, so that the position table is longer
# than the longest text: those that call create_position_ids_from_input_ids in transformers.
_RESERVED_POSITIONS = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


GLICLASS = "GLiClass"
"""The ``model_type`` of GLiClass."""

_GLICLASS_LENGTH = 1024
"""Default of GLiClass's pipeline, which does not ask its tokenizer."""


def longest(
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    sentence_bert_config: Mapping[str, Any],
    given: int | None,
) -> Because[int | None]:
    """The longest sequence in tokens: the least of what the files and labelf's config allow."""
    limits: list[Because[int]] = []
    if config.get("model_type") == GLICLASS:
        limits.append(Because(_GLICLASS_LENGTH, "default of GLiClass's pipeline"))
        encoder = config.get("encoder_config")
        config, tokenizer_config = (encoder if isinstance(encoder, dict) else {}), {}
        if not config.get("position_biased_input", True):
            config = {}  # positions relative to each other have no end
    model_max_length = tokenizer_config.get("model_max_length")
    if isinstance(model_max_length, int | float) and 0 < model_max_length <= _SANE_LENGTH:
        limits.append(Because(int(model_max_length), "model_max_length of the tokenizer"))
    max_seq_length = sentence_bert_config.get("max_seq_length")
    if isinstance(max_seq_length, int) and max_seq_length > 0:
        limits.append(Because(max_seq_length, "max_seq_length of sentence-transformers"))
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and positions > 0:
        rule = "max_position_embeddings"
        if config.get("model_type") in _RESERVED_POSITIONS:
            reserved = pad_token_id(config) + 1
            positions, rule = positions - reserved, f"{rule} less {reserved} reserved"
        limits.append(Because(positions, rule))
    if given is not None:
        limits.append(Because(given, "max_length in the config"))
    if not limits:
        return Because(None, "no limit known")
    least = min(limits, key=lambda limit: limit.value)
    return Because(least.value, least.rule)


def pad_token_id(config: Mapping[str, Any]) -> int:
    """The padding token by ``config.json``, 0 where it names none."""
    found = config.get("pad_token_id")
    return found if isinstance(found, int) else 0
