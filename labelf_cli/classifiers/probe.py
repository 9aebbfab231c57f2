"""Finds out how texts may share a call of a model without a bit of their scores moving.

No list of operators decides it: kernels of onnxruntime choose their order of summation by shape,
and dynamic quantisation takes one scale for a whole batch. Only a look at the bits tells.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from labelf_cli.classifiers.interface import Batching, Because, Group
from labelf_cli.errors import ModelError
from labelf_cli.tokens import Ints, TokenIds

_LENGTHS = (3, 5, 9, 17, 33, 64)
_PER_LENGTH = 3


def find_batching(group: Group) -> Because[Batching]:
    """Run probe texts alone, together at equal length, and padded; choose the freest safe way.

    Raises:
        ModelError: the model can't answer even one text, or answers other than it is asked.
    """
    ids = probe_ids(group.tokenizer.vocab_size)
    count = len(ids.lengths)
    names = ", ".join(model.name for model in group.models)
    with probing(f"model '{names}'"):
        alone = [group.ask(ids, np.array([row])).logits for row in range(count)]
    equal = [np.flatnonzero(ids.lengths == length) for length in _LENGTHS]
    if (moved := _moved(group, ids, equal, alone)) is not None:
        return Because(Batching.ONE_TEXT, f"texts that share a call {moved}")
    everything = np.arange(count)
    if (moved := _moved(group, ids, [everything, everything[::2]], alone)) is not None:
        return Because(Batching.EQUAL_LENGTH, f"padded texts {moved}")
    return Because(Batching.PADDED, f"{count} probe texts gave the same bits alone and padded")


@contextmanager
def probing(where: object) -> Iterator[None]:
    """Make a refusal of whatever a model fails with meanwhile.

    Raises:
        ModelError: it failed.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise ModelError(f"fails on a probe text ({error})", where=where) from None


def probe_ids(vocab_size: int) -> TokenIds:
    """Token ids of 18 made-up texts of 3 to 64 tokens, the same ones every time."""
    random = np.random.default_rng(0)
    lengths = np.repeat(_LENGTHS, _PER_LENGTH)
    return TokenIds.of([random.integers(0, vocab_size, n).tolist() for n in lengths])


def _moved(
    group: Group, ids: TokenIds, batches: Iterable[Ints], alone: list[tuple[np.ndarray, ...]]
) -> str | None:
    """How the logits of these batches differ from those of the texts alone, None if not at all."""
    largest, differs = 0.0, False
    for rows in batches:
        try:
            together = group.ask(ids, rows).logits
        except ModelError:
            raise
        except Exception as error:  # a graph with a fixed batch size
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            return f"make it fail ({reason})"
        for at, row in enumerate(rows):
            for model, logits in enumerate(together):
                one, other = alone[row][model][0], logits[at]
                differs |= one.tobytes() != other.tobytes()
                with np.errstate(invalid="ignore"):  # infinite logits
                    largest = max(largest, float(np.nanmax(np.abs(one - other), initial=0)))
    return f"moved logits by up to {largest:.1g}" if differs else None
