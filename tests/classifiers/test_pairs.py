"""Pairs of texts: what tokenizers makes of both at once is made of their ids."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import WORDS, write_tokenizer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import processors

from labelf_cli.classifiers.pairs import PairTemplate
from labelf_cli.sequences import sequences
from labelf_cli.tokens import Tokenizer

SPECIAL = [("[CLS]", 2), ("[SEP]", 3)]
PROCESSORS = {
    "bert": processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "roberta": processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "xlnet": processors.TemplateProcessing(
        single="$A [SEP] [CLS]:2",
        pair="$A [SEP] $B:1 [SEP]:1 [CLS]:2",
        special_tokens=SPECIAL,
    ),
    "bare": None,
}
words = st.lists(st.sampled_from(WORDS[4:]), min_size=1, max_size=9).map(" ".join)


def tokenizer_of(path: Path, processor: str) -> HfTokenizer:
    write_tokenizer(path)
    tokenizer = HfTokenizer.from_file(str(path))
    if PROCESSORS[processor] is not None:
        tokenizer.post_processor = PROCESSORS[processor]
    else:
        content = json.loads(tokenizer.to_str()) | {"post_processor": None}
        tokenizer = HfTokenizer.from_str(json.dumps(content))
    return tokenizer


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("side", ["left", "right"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=words, second=words, room=st.integers(1, 12))
def test_a_pair_is_what_tokenizers_makes_of_it(
    tmp_path: Path, processor: str, side: str, first: str, *, second: str, room: int
) -> None:
    """Cut as transformers cuts with ``only_first``."""
    theirs = tokenizer_of(tmp_path / "tokenizer.json", processor)
    ours = Tokenizer(theirs.to_str().encode())
    single = ours.template(0, pad_left=False, cut_left=side == "left")
    template = PairTemplate.of(ours, single).followed_by(ours.encode([second]).flat)
    max_length = template.num_special + room
    theirs.enable_truncation(max_length, strategy="only_first", direction=side)
    expected = theirs.encode(first, second)
    made = sequences(ours.encode([first]), np.zeros(1, np.int64), template, max_length)
    assert made.input_ids.tolist() == [expected.ids]
    assert made.token_type_ids.tolist() == [expected.type_ids]
