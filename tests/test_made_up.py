"""Made-up texts: what speed is measured on where there are no others."""

from labelf_cli.made_up import made_up_texts


def test_made_up_texts_are_of_mixed_length_and_the_same_every_time() -> None:
    texts = made_up_texts(["bill", "signal"], 500)
    assert texts == made_up_texts(["bill", "signal"], 500)
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[0] < 10
    assert 40 < lengths[250] < 55
    assert 200 < lengths[-1] <= 441
