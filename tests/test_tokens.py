"""Texts to ids, and the special tokens around them: the same as the library makes."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED, needs_shared
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as HfTokenizer

from labelf_cli.errors import ModelError
from labelf_cli.sequences import sequences
from labelf_cli.tokens import Template, TokenIds, Tokenizer, encode_each

MINILM = SHARED / "models/minilm-l6-v2/tokenizer.json"

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "bill", "is", "high"]
"""A word's id is its position."""

TEMPLATES = {
    "BERT": "[CLS] $A [SEP]",
    "T5, a suffix only": "$A [SEP]",
    "a prefix only": "[CLS] $A",
    "two on each side": "[CLS] [SEP] $A [SEP] [SEP]",
    "token types": "[CLS]:2 $A:1 [SEP]:3",
    "GPT-2, nothing": "$A",
}

sentences = st.lists(st.sampled_from([*WORDS[4:], "unheard", " "]), max_size=8).map(" ".join)


def hugging_face(template: str = "[CLS] $A [SEP]", words: list[str] = WORDS) -> HfTokenizer:
    """A tokenizer that splits at white space, of Hugging Face's library."""
    tokenizer = HfTokenizer(models.WordLevel(dict(zip(words, range(99), strict=False)), "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def ours(tokenizer: HfTokenizer) -> Tokenizer:
    return Tokenizer(tokenizer.to_str().encode())


def lists(ids: TokenIds) -> list[list[int]]:
    """The ids of each text."""
    ends = zip(ids.starts, ids.starts + ids.lengths, strict=True)
    return [ids.flat[start:end].tolist() for start, end in ends]


@given(st.lists(sentences, max_size=5))
def test_the_ids_of_a_text_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    tokenizer = ours(hugging_face())
    together = lists(tokenizer.encode(texts))
    assert together == [lists(tokenizer.encode([text]))[0] for text in texts]


def test_ids_come_without_special_tokens() -> None:
    assert lists(ours(hugging_face()).encode(["The bill", "", "what"])) == [[4, 5], [], [1]]


def test_a_token_has_an_id_where_the_vocabulary_has_it() -> None:
    tokenizer = ours(hugging_face())
    found = (tokenizer.token_id("[SEP]"), tokenizer.token_id("[MASK]"), tokenizer.vocab_size)
    assert found == (3, None, len(WORDS))


def with_traps(*, cuts: bool, pads: bool) -> HfTokenizer:
    """A tokenizer whose file cuts and pads by itself."""
    tokenizer = hugging_face()
    if cuts:
        tokenizer.enable_truncation(3)
    if pads:
        tokenizer.enable_padding(direction="left", length=12)
    return tokenizer


@pytest.mark.parametrize(("cuts", "pads"), [(True, False), (False, True), (True, True)])
def test_truncation_and_padding_in_the_file_are_cleared(cuts: bool, pads: bool) -> None:
    tokenizer = ours(with_traps(cuts=cuts, pads=pads))
    text = "the bill is high the bill is high"
    assert lists(tokenizer.encode([text, "bill"])) == [[4, 5, 6, 7, 4, 5, 6, 7], [5]]
    assert tokenizer.digest == ours(hugging_face()).digest


@pytest.mark.parametrize(
    "other", [hugging_face(words=[*WORDS, "more"]), hugging_face(template="[CLS] $A")]
)
def test_tokenizers_that_differ_have_different_digests(other: HfTokenizer) -> None:
    assert ours(other).digest != ours(hugging_face()).digest


def template_of(tokenizer: HfTokenizer, *, cut_left: bool = False) -> Template:
    return ours(tokenizer).template(0, pad_left=False, cut_left=cut_left)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@given(text=sentences)
def test_a_sequence_equals_what_the_post_processor_makes(template: str, text: str) -> None:
    reference = hugging_face(template).encode(text)
    ids = ours(hugging_face(template)).encode([text])
    built = sequences(ids, np.array([0]), template_of(hugging_face(template)), None)
    assert built.input_ids[0].tolist() == reference.ids
    assert built.token_type_ids[0].tolist() == reference.type_ids
    assert built.attention_mask[0].tolist() == reference.attention_mask


def no_letters() -> HfTokenizer:
    """A tokenizer that knows one Chinese character and drops all else."""
    tokenizer = HfTokenizer(models.BPE({"[CLS]": 2, "[SEP]": 3, "\u4e2d": 4}, []))
    tokenizer.post_processor = hugging_face().post_processor
    return tokenizer


@pytest.mark.parametrize(
    "tokenizer", [with_traps(cuts=True, pads=True), no_letters()], ids=["traps", "no letters"]
)
def test_special_tokens_are_found_whatever_the_file_holds(tokenizer: HfTokenizer) -> None:
    template = template_of(tokenizer)
    assert (template.prefix.tolist(), template.suffix.tolist()) == ([2], [3])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_cut_sequence_equals_what_hugging_face_cuts(side: str) -> None:
    text = "the bill is high the bill is high"
    reference = hugging_face()
    reference.enable_truncation(5, direction=side)
    template = template_of(hugging_face(), cut_left=side == "left")
    built = sequences(ours(hugging_face()).encode([text]), np.array([0]), template, 5)
    assert built.input_ids[0].tolist() == reference.encode(text).ids


def test_a_template_keeps_what_it_is_told_of_padding_and_cutting() -> None:
    for pad_left, cut_left in [(True, False), (False, True)]:
        template = ours(hugging_face()).template(7, pad_left=pad_left, cut_left=cut_left)
        assert (template.pad_id, template.pad_left, template.cut_left) == (7, pad_left, cut_left)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent", "can't be read (No such file or directory)"), ("broken", "not a tokenizer (")],
)
def test_what_is_no_tokenizer_is_a_model_error(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "broken").write_text("{}")
    with pytest.raises(ModelError) as caught:
        Tokenizer.load(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")


@needs_shared
def test_a_real_tokenizer_neither_cuts_at_its_128_nor_pads_to_them() -> None:
    tokenizer = Tokenizer.load(MINILM)
    assert tokenizer.encode(["word " * 300, "word"]).lengths.tolist() == [300, 1]
    cleared = json.loads(MINILM.read_bytes()) | {"truncation": None, "padding": None}
    assert Tokenizer(json.dumps(cleared).encode()).digest == tokenizer.digest


def test_dropout_is_cleared_so_that_a_text_has_the_same_tokens_every_time() -> None:
    vocabulary = {"a": 0, "b": 1, "ab": 2}
    dropping = HfTokenizer(models.BPE(vocabulary, [("a", "b")], dropout=0.5))
    tokenizer = ours(dropping)
    assert tokenizer.encode(["ab"] * 64).flat.tolist() == [2] * 64


SAMPLE = ["the bill is high", "no signal on my tv", "hello world"] * 20


def word_piece() -> HfTokenizer:
    tokenizer = HfTokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=90, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    return tokenizer


def byte_level() -> HfTokenizer:
    tokenizer = HfTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    return tokenizer


def unigram() -> HfTokenizer:
    tokenizer = HfTokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60,
        special_tokens=["<s>", "<unk>", "</s>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    return tokenizer


KINDS = {"WordPiece": word_piece, "byte-level BPE": byte_level, "Unigram": unigram}


@pytest.mark.parametrize("kind", KINDS)
class TestOddTexts:
    """What real tokenizers make of them."""

    @pytest.fixture
    def tokenizer(self, kind: str) -> Tokenizer:
        return ours(KINDS[kind]())

    @pytest.mark.parametrize(
        "text",
        [
            "a\0b",
            "\x01\x1b[31mred\x07",
            "\u202eשלום عربى\u202c",
            "👩\u200d👩\u200d👧 😀",
            "\ufffd\ufffd",
            "\ufeffthe bill",
            "\u200b\u2060\u00ad",
            "\u3164\u2800",
            "the bill is high " * 60_000,
            "x" * 1_000_000,
        ],
        ids=lambda text: ascii(text[:12]),
    )
    def test_harm_no_other(self, tokenizer: Tokenizer, text: str) -> None:
        ids, failures = encode_each(tokenizer, ["the bill", text, "hello"])
        alone = [lists(tokenizer.encode([one]))[0] for one in ("the bill", text, "hello")]
        assert (lists(ids), failures) == (alone, {})

    def test_a_lone_surrogate_spares_the_others(self, tokenizer: Tokenizer) -> None:
        ids, failures = encode_each(tokenizer, ["the bill", "a\ud800", "hello"])
        assert lists(ids) == [
            *lists(tokenizer.encode(["the bill"])),
            [],
            lists(tokenizer.encode(["hello"]))[0],
        ]
        assert list(failures) == [1]
        assert failures[1].startswith("can't be tokenised (TextEncodeInput must be ")

    def test_the_spelling_of_a_special_token_is_that_token(self, tokenizer: Tokenizer) -> None:
        """As in transformers, whose tokenizers have split_special_tokens=False."""
        token = "</s>" if tokenizer.token_id("[SEP]") is None else "[SEP]"
        ids = lists(tokenizer.encode([f"the {token} bill"]))[0]
        assert ids.count(tokenizer.token_id(token) or -1) == 1


def test_a_text_may_have_no_token_at_all() -> None:
    ids, failures = encode_each(ours(word_piece()), ["\u200b", "\x01\x02", "\0", "the"])
    assert (ids.lengths.tolist(), failures) == ([0, 0, 0, 1], {})


def test_a_panic_of_the_library_fails_its_text_alone() -> None:
    """It is no Exception; here its regular expression gives up."""
    panics = hugging_face()
    panics.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?:a|a|aa)+$"), "isolated")
    tokenizer = ours(panics)
    ids, failures = encode_each(tokenizer, ["the", "a" * 3000 + "b", "bill"])
    assert lists(ids) == [[4], [], [5]]
    reason = "can't be tokenised (Onig: Regex search error: retry-limit-in-match over)"
    assert failures == {1: reason}


def test_a_vocabulary_without_the_unknown_word_fails_texts_that_have_one() -> None:
    tokenizer = ours(hugging_face(words=["[PAD]", "?", *WORDS[2:]]))
    ids, failures = encode_each(tokenizer, ["the", "unheard", "bill"])
    assert lists(ids) == [[4], [], [5]]
    reason = "can't be tokenised (WordLevel error: Missing [UNK] token from the vocabulary)"
    assert failures == {1: reason}
    assert tokenizer.template(0, pad_left=False, cut_left=False).suffix.tolist() == [3]


def test_what_is_no_failure_of_a_text_is_passed_on() -> None:
    class Interrupted(Tokenizer):
        def encode(self, texts: list[str]) -> TokenIds:
            raise KeyboardInterrupt(*texts)

    with pytest.raises(KeyboardInterrupt):
        encode_each(Interrupted(hugging_face().to_str().encode()), ["the", "bill"])
