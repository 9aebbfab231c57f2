"""Token ids to what models take: windows of long texts, padded matrices; no loop over tokens."""

from dataclasses import dataclass

import numpy as np

from labelf_cli.tokens import Ints, Template, TokenIds


def windows(ids: TokenIds, rows: Ints, size: int, stride: int) -> tuple[TokenIds, Ints]:
    """Cut texts into overlapping windows.

    They are those of the overflowing tokens of Hugging Face's tokenizers: each begins
    ``size - stride`` tokens after the one before, and the first that reaches the end is the last.

    Args:
        ids: token ids of all texts.
        rows: which texts, [n] int64.
        size: most tokens of a window.
        stride: tokens that a window shares with the one before it, fewer than ``size``.

    Returns:
        Token ids of the windows, text after text, and how many each text has, [n] int64.
    """
    step, lengths = size - stride, ids.lengths[rows]
    counts = 1 + -(-np.maximum(lengths - size, 0) // step)
    begins = step * (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
    lengths = np.minimum(np.repeat(lengths, counts) - begins, size)
    return TokenIds(ids.flat, np.repeat(ids.starts[rows], counts) + begins, lengths), counts


@dataclass(frozen=True)
class Sequences:
    """Padded model inputs, each [sequences × length] int64."""

    input_ids: Ints
    attention_mask: Ints
    token_type_ids: Ints


def sequences(ids: TokenIds, rows: Ints, template: Template, max_length: int | None) -> Sequences:
    """Build the padded inputs of some texts.

    Args:
        ids: token ids of all texts.
        rows: which texts, [n] int64.
        template: special tokens and padding.
        max_length: longer sequences are cut, special tokens kept; None for no limit.
    """
    special = template.num_special
    full = ids.lengths[rows]
    kept = full if max_length is None else np.minimum(full, max_length - special)
    starts = ids.starts[rows] + (full - kept if template.cut_left else 0)
    length = int(kept.max(initial=0)) + special
    # Position of each cell within its own sequence; negative or past its end: padding.
    place = (
        np.arange(length) - (length - special - kept if template.pad_left else 0 * kept)[:, None]
    )
    begin = len(template.prefix)
    in_text = (place >= begin) & (place < begin + kept[:, None])
    source = (starts[:, None] + place - begin)[in_text]
    input_ids = np.full(place.shape, template.pad_id, np.int64)
    input_ids[in_text] = ids.flat[source]
    types = np.where(in_text, template.type_ids[1], 0)
    for ends, special_ids, type_ids in (
        (np.zeros_like(kept), template.prefix, template.type_ids[:1]),
        (begin + kept, template.suffix, template.type_ids[2:]),
    ):
        its_types = np.broadcast_to(type_ids, len(special_ids))
        for offset, special_id in enumerate(special_ids):
            here = place == (ends + offset)[:, None]
            input_ids[here], types[here] = special_id, its_types[offset]
    mask = (place >= 0) & (place < (kept + special)[:, None])
    return Sequences(input_ids, mask.astype(np.int64), types.astype(np.int64))
