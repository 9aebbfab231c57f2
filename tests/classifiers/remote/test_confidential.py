"""Texts and tokens stay out of messages."""

from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.classifiers.remote.confidential import one_line

TEXT = "My bill of 1,240 kronor is wrong.\nCall me on 070 123 45 67"


def test_a_message_is_one_short_line() -> None:
    assert one_line("no such\n  model\t42 ") == "no such model 42"
    assert len(one_line("word " * 500)) == 200


def test_a_text_and_its_pieces_are_masked() -> None:
    assert one_line(f"bad text: {TEXT!r}", [TEXT]).startswith("bad text: '…")
    assert one_line("got 'Call me on 070 123' there", [TEXT]) == "got '…' there"
    assert one_line("the model is unknown", [TEXT]) == "the model is unknown"


def test_a_short_text_is_masked_where_it_is_a_word() -> None:
    assert one_line("no answer to 'no'", ["no"]) == "… answer to '…'"
    assert one_line("nothing", ["no"]) == "nothing"


def test_secrets_are_masked() -> None:
    assert one_line("key sk-123 is revoked", [], ["sk-123"]) == "key … is revoked"


@given(st.text(), st.text("abcdefghij ", min_size=12, max_size=60), st.text())
def test_no_text_shows(before: str, text: str, after: str) -> None:
    shown = one_line(before + text + after, [text])
    line = " ".join(text.split())
    assert len(line) < 12 or line not in shown
