"""``only_where``: models that are asked about some texts alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import WORDS, WriteModel
from test_run import ignore, read_table, settings_of, write_table

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError
from labelf_cli.formats import Layout
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import NO_LABEL, Answers, Status
from labelf_cli.run import run

LABELS = ("yes", "no", "maybe")


def make_texts(count: int = 300) -> list[str]:
    dice = Random(2)
    return [" ".join(dice.choices(WORDS[4:], k=dice.choice([1, 3, 9]))) for _ in range(count)]


TEXTS = [*make_texts(), "", "  "]


def classify(config: Config, cache: Path | None = None) -> Answers:
    with Labeller.open(config, 2, cache) as labeller:
        labeller.load()
        batches = [pa.record_batch({TEXT: pa.array(TEXTS[i : i + 50])}) for i in range(0, 302, 50)]
        chunks = [Chunk(n, 50 * n, batch) for n, batch in enumerate(batches)]
        answers = [answers for _, answers in labeller.label(chunks)]
    return Answers(
        tuple(map(np.concatenate, zip(*(its.scores for its in answers), strict=True))),
        (),
        np.concatenate([its.status for its in answers]),
        pa.concat_arrays([its.errors for its in answers]),
        sum((its.spent for its in answers[1:]), answers[0].spent),
    )


def best(answers: Answers, model: int) -> list[str | None]:
    """The best label for each text, by its scores."""
    return [
        None if np.isnan(row).any() else LABELS[int(row.argmax())] for row in answers.scores[model]
    ]


@pytest.fixture
def entries(write_model: WriteModel) -> dict[str, dict[str, Any]]:
    """Three models of graphs of their own."""
    return {
        name: {"name": name, "path": write_model(name, seed=seed)}
        for seed, name in enumerate(("product", "issue", "cause"))
    }


def asked_alone(make_config: Callable[..., Config], entry: dict[str, Any]) -> Answers:
    return classify(make_config({k: v for k, v in entry.items() if k != "only_where"}))


def test_a_child_answers_only_where_its_parent_says_so(
    entries: dict[str, dict[str, Any]], make_config: Callable[..., Config]
) -> None:
    product, issue = entries["product"], entries["issue"]
    issue |= {"only_where": {"product": ["yes", "maybe"]}}
    found = classify(make_config(issue, product))  # the child stands first
    parent, child = asked_alone(make_config, product), asked_alone(make_config, issue)
    wanted = [label in ("yes", "maybe") for label in best(parent, 0)]
    assert 30 < sum(wanted) < 270
    assert found.scores[1].tobytes() == parent.scores[0].tobytes()
    assert found.scores[0][wanted].tobytes() == child.scores[0][wanted].tobytes()
    assert np.isnan(found.scores[0][~np.array(wanted)]).all()
    assert set(found.status[:300]) == {Status.OK}


def test_rows_that_are_not_asked_cost_nothing(
    entries: dict[str, dict[str, Any]], make_config: Callable[..., Config]
) -> None:
    entries["issue"] |= {"only_where": {"product": ["yes"]}}
    parent = asked_alone(make_config, entries["product"])
    wanted = {text for text, label in zip(TEXTS, best(parent, 0), strict=True) if label == "yes"}
    both = classify(make_config(entries["product"], entries["issue"]))
    assert both.spent.tokens - parent.spent.tokens == sum(len(t.split()) + 2 for t in wanted)


def test_chains_are_followed_and_all_conditions_hold(
    entries: dict[str, dict[str, Any]], make_config: Callable[..., Config]
) -> None:
    entries["issue"] |= {"only_where": {"product": ["yes"]}}
    entries["cause"] |= {"only_where": {"issue": ["no"], "product": ["yes", "no"]}}
    found = classify(make_config(*entries.values()))
    product, issue, cause = (best(found, model) for model in range(3))
    alone = {name: best(asked_alone(make_config, entry), 0) for name, entry in entries.items()}
    for at in range(300):
        assert product[at] == alone["product"][at]
        assert issue[at] == (alone["issue"][at] if product[at] == "yes" else None)
        assert cause[at] == (alone["cause"][at] if issue[at] == "no" else None)
    assert {None, *LABELS} >= set(cause) > {None}


def test_a_run_that_several_models_share_is_asked_for_those_that_want_it(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    """Where only some of them do, as their graph also answers one that is asked about all."""
    path = write_model()
    parent = {"name": "all", "path": path}
    child = {"name": "some", "path": path, "only_where": {"all": ["yes"]}}
    found = classify(make_config(child, parent))
    assert found.spent.tokens == asked_alone(make_config, parent).spent.tokens
    expected = [label if label == "yes" else None for label in best(found, 1)]
    assert best(found, 0) == expected


def test_models_of_two_graphs_may_wait_for_each_others_neighbours(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    """Their runs wait for each other, though no model does."""
    one, other = write_model("one"), write_model("other", seed=1)
    found = classify(
        make_config(
            {"name": "a", "path": one},
            {"name": "b", "path": other, "only_where": {"a": ["yes", "no"]}},
            {"name": "c", "path": one, "only_where": {"b": ["no"]}, "max_length": 64},
            {"name": "d", "path": other, "only_where": {"c": ["yes"]}},
        )
    )
    a, b, c, d = (best(found, model) for model in range(4))
    assert [label is not None for label in b[:300]] == [label in ("yes", "no") for label in a[:300]]
    assert [label is not None for label in c] == [label == "no" for label in b]
    assert [label is not None for label in d] == [label == "yes" for label in c]
    assert set(d) > {None}


def test_of_a_parent_with_several_labels_any_counts(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    multi_label = {"problem_type": "multi_label_classification"}
    parent = {"name": "tags", "path": write_model("tags", config=multi_label)}
    child = {"name": "m", "path": write_model("m", seed=1), "only_where": {"tags": ["maybe"]}}
    found = classify(make_config(parent, child))
    holds = found.scores[0][:, LABELS.index("maybe")] >= 0.5
    assert (~np.isnan(found.scores[1][:, 0])).tolist() == holds.tolist()
    assert 30 < holds.sum() < 270


def test_the_none_label_is_an_answer_and_a_filtered_label_is_none(
    entries: dict[str, dict[str, Any]], make_config: Callable[..., Config]
) -> None:
    entries["product"] |= {"threshold": 0.9, "none_label": "unsure", "label_filter": ["yes", "no"]}
    entries["issue"] |= {"only_where": {"product": ["unsure"]}}
    found = classify(make_config(entries["product"], entries["issue"]))
    unsure = ~(found.scores[0][:300, :2] >= 0.9).any(axis=1)
    assert (~np.isnan(found.scores[1][:300, 0])).tolist() == unsure.tolist()
    entries["issue"] |= {"only_where": {"product": ["maybe"]}}
    with pytest.raises(ConfigError) as refused:
        classify(make_config(entries["product"], entries["issue"]))
    assert str(refused.value) == (
        "model 'issue', only_where: the model 'product' never answers 'maybe'. "
        "There are: yes, no, unsure"
    )


def test_a_parent_that_fails_asks_for_nothing(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    parent = {"name": "p", "path": write_model("p", nan_word="signal")}
    child = {"name": "c", "path": write_model("c"), "only_where": {"p": list(LABELS)}}
    found = classify(make_config(parent, child))
    failed = np.array(["signal" in text.split() for text in TEXTS])
    assert (found.status == Status.FAILED).tolist() == failed.tolist()
    assert np.isnan(found.scores[1][:300, 0]).tolist() == failed[:300].tolist()
    assert set(found.errors.to_pylist()) == {None, "p: the model's answer is not a number"}


def test_a_cache_spares_parents_and_children(
    entries: dict[str, dict[str, Any]], make_config: Callable[..., Config], tmp_path: Path
) -> None:
    entries["issue"] |= {"only_where": {"product": ["yes"]}}
    config = make_config(entries["product"], entries["issue"])
    first, second = (classify(config, tmp_path / "cache") for _ in range(2))
    assert (first.spent.cached, second.spent.calls) == (0, 0)
    assert [s.tobytes() for s in second.scores] == [s.tobytes() for s in first.scores]
    entries["issue"] |= {"only_where": {"product": ["no", "yes"]}}
    wider = classify(make_config(entries["product"], entries["issue"]), tmp_path / "cache")
    assert wider.spent.calls > 0
    fresh = classify(make_config(entries["product"], entries["issue"]))
    assert [s.tobytes() for s in wider.scores] == [s.tobytes() for s in fresh.scores]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("layout", Layout)
def test_every_layout_shows_nulls_for_what_was_not_asked(
    entries: dict[str, dict[str, Any]],
    make_config: Callable[..., Config],
    tmp_path: Path,
    suffix: str,
    layout: Layout,
) -> None:
    entries["issue"] |= {"only_where": {"product": ["yes"]}, "none_label": "none"}
    source = write_table(
        tmp_path / "in.csv", [{"id": str(i), "text": t} for i, t in enumerate(TEXTS)]
    )
    config = make_config(entries["product"], entries["issue"])
    output = tmp_path / f"out.{suffix}"
    settings = settings_of(config, source, output=output, layout=layout, chunk_rows=64)
    summary = run(settings, ignore)
    assert (summary.rows, summary.statuses["empty"]) == (302, 2)
    again = replace(settings, output=tmp_path / f"again.{suffix}", threads=1, chunk_rows=7)
    run(again, ignore)
    assert output.read_bytes() == (tmp_path / f"again.{suffix}").read_bytes()
    if (suffix, layout) == ("parquet", Layout.WIDE):
        rows = read_table(output)
        for row in rows:
            assert (row["issue.label"] is not None) == (row["product.label"] == "yes")
            assert (row["issue.score.yes"] is None) == (row["issue.label"] is None)
        assert NO_LABEL not in {row["issue.label"] for row in rows}


def test_circles_and_unknown_parents_are_refused(make_config: Callable[..., Config]) -> None:
    def entry(name: str, **only_where: list[str]) -> dict[str, Any]:
        return {"name": name, "path": "m", "only_where": only_where}

    with pytest.raises(ValueError, match=r"only_where goes in a circle: [abc] → "):
        make_config(entry("a", c=["x"]), entry("b", a=["x"]), entry("c", b=["x"]))
    with pytest.raises(ValueError, match="only_where goes in a circle: a → a"):
        make_config(entry("a", a=["x"]))
    with pytest.raises(
        ValueError, match=r"'b' is asked only where 'aa' says so\. Did you mean 'a'"
    ):
        make_config(entry("a"), entry("b", aa=["x"]))


def test_a_child_is_not_chosen_without_its_parent(make_config: Callable[..., Config]) -> None:
    child = {"name": "c", "path": "m", "only_where": {"p": ["x"]}}
    config = make_config({"name": "p", "path": "m"}, child)
    with pytest.raises(ConfigError) as refused:
        config.only(("c",))
    assert str(refused.value) == "model 'c' is asked only where 'p' says so. Add --model p"
    assert [model.name for model in config.only(("c", "p")).models] == ["p", "c"]
