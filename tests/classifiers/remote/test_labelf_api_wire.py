"""The multi-model inference API: what is sent, and what of an answer is taken."""

from typing import Any

import numpy as np
import pytest

from labelf_cli.classifiers.remote.labelf_api_wire import (
    Setting,
    WrongResultsError,
    body_of,
    read_results,
)

SETTINGS = (Setting(42, max_predictions=1), Setting(201, ("Angry", "Neutral")))
LABELS = (("Mobile Broadband", "TV"), ("Angry", "Neutral"))


def results(**first: object) -> dict[str, Any]:
    predictions = [[{"label": "TV", "score": 0.9}], [{"label": "Mobile Broadband", "score": 0.5}]]
    return {
        "results": [
            {"model_id": 42, "model_name": "Product", "predictions": predictions} | first,
            {
                "model_id": 201,
                "predictions": [[{"label": "Neutral", "confidence": 0.7}], []],
            },
        ]
    }


def test_the_request() -> None:
    settings = (*SETTINGS, Setting(7, read_full_text=False))
    assert body_of(settings, ["a", "b"]) == {
        "texts": ["a", "b"],
        "model_settings": [
            {"model_id": 42, "max_predictions": 1},
            {"model_id": 201, "label_filter": ["Angry", "Neutral"]},
            {"model_id": 7, "read_full_text": False},
        ],
    }


def test_an_answer() -> None:
    product, mood = read_results(results(), SETTINGS, LABELS, 2)
    none = -np.inf
    assert product.scores.dtype == np.float32
    assert product.scores.tolist() == [[none, np.float32(0.9)], [0.5, none]]
    assert mood.scores.tolist() == [[none, np.float32(0.7)], [none, none]]
    assert not product.failures
    assert not mood.failures


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "the answer has no results"),
        ({"results": results()["results"][:1]}, r"of the models \[42\], not of \[42, 201\]"),
        ({"results": results()["results"][::-1]}, r"of the models \[201, 42\]"),
        (results(model_id="42"), "of the models"),
        (results(predictions=[[]]), "model 42 answers 2 texts with 1 lists of predictions"),
        (results(predictions=[[], [], []]), "model 42 answers 2 texts with 3 lists"),
        (results(predictions=None), "model 42 answers 2 texts with no lists"),
    ],
)
def test_other_models_or_counts_are_refused(body: object, reason: str) -> None:
    with pytest.raises(WrongResultsError, match=reason):
        read_results(body, SETTINGS, LABELS, 2)


@pytest.mark.parametrize(
    ("predictions", "reason"),
    [
        ([{"label": "Radio", "score": 0.1}], "gives 'Radio', which is no label of the config"),
        ([{"label": "TV", "score": 0.1}] * 2, "gives a label twice"),
        ([{"label": "TV", "score": "0.1"}], "the score of 'TV' is no finite number"),
        ([{"label": "TV", "score": float("nan")}], "the score of 'TV' is no finite number"),
        ([{"label": "TV", "score": 10**400}], "the score of 'TV' is no finite number"),
        ([{"label": "TV", "score": True}], "the score of 'TV' is no finite number"),
        ([{"label": "TV", "score": None}] * 2, "the score of 'TV' is no finite number"),
        ([{"label": "TV"}], "the score of 'TV' is no finite number"),
        ([{"score": 1}], "a prediction has no label"),
        (["TV"], "a prediction is no object"),
        ({"TV": 1}, "its predictions are no list"),
    ],
)
def test_a_text_that_is_answered_wrongly_fails_alone(predictions: object, reason: str) -> None:
    body = results(predictions=[predictions, [{"label": "TV", "score": 1}]])
    product, mood = read_results(body, SETTINGS, LABELS, 2)
    assert list(product.failures) == [0]
    assert reason in product.failures[0]
    assert np.isnan(product.scores[0]).all()
    assert product.scores[1, 1] == 1
    assert not mood.failures


def test_the_none_label_of_the_service_is_no_label() -> None:
    body = results(predictions=[[{"label": "none", "score": None}], []])
    product, _ = read_results(body, SETTINGS, LABELS, 2)
    assert (product.scores == -np.inf).all()
    assert not product.failures


def test_a_filter_that_takes_parts_of_labels_lets_none_through() -> None:
    predictions = [[{"label": "very angry", "score": 0.9}, {"label": "Angry", "score": 0.1}]]
    body = {"results": [{"model_id": 201, "predictions": predictions}]}
    (mood,) = read_results(body, SETTINGS[1:], LABELS[1:], 1)
    assert mood.scores.tolist() == [[np.float32(0.1), -np.inf]]
    assert not mood.failures
