"""What the multi-model inference API is asked, and what it answers: JSON in, arrays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labelf_cli.predictions import Floats

PATH = "/models/inference"
_LARGEST = float(np.finfo(np.float32).max)


class WrongResultsError(ValueError):
    """An answer does not have one list of predictions for each text and model, in their order."""


@dataclass(frozen=True)
class Setting:
    """What one model is asked.

    Attributes:
        model_id: of the service.
        label_filter: the only labels that are asked for; None for all.
        max_predictions: cap on the labels of a text; None for none.
        read_full_text: whether long texts are read by windows or cut; None for what the service
            does by itself.
    """

    model_id: int
    label_filter: tuple[str, ...] | None = None
    max_predictions: int | None = None
    read_full_text: bool | None = None

    def as_json(self) -> dict[str, object]:
        """An entry of ``model_settings``."""
        filtered = None if self.label_filter is None else list(self.label_filter)
        entry = {
            "model_id": self.model_id,
            "max_predictions": self.max_predictions,
            "label_filter": filtered,
            "read_full_text": self.read_full_text,
        }
        return {key: value for key, value in entry.items() if value is not None}

    def filters_out(self, label: str) -> bool:
        """Whether a label is none of those asked for, but is named by a part of it.

        Some services take a filter so that ``po`` lets ``positive`` through.
        """
        wanted = self.label_filter or ()
        return label not in wanted and any(name.casefold() in label.casefold() for name in wanted)


def body_of(settings: Sequence[Setting], texts: Sequence[str]) -> dict[str, object]:
    """A request."""
    return {"texts": list(texts), "model_settings": [setting.as_json() for setting in settings]}


@dataclass(frozen=True)
class Scored:
    """What one model says about some texts.

    Attributes:
        scores: those of the service, -inf for labels that it left out, [texts × labels] float32.
        failures: positions of the texts whose predictions are of no use, and why.
    """

    scores: Floats
    failures: Mapping[int, str]


def read_results(
    body: object, settings: Sequence[Setting], labels: Sequence[Sequence[str]], texts: int
) -> tuple[Scored, ...]:
    """Check an answer against what was asked.

    Args:
        body: JSON of the response.
        settings: of the models.
        labels: that each of them may give.
        texts: how many were sent.

    Raises:
        WrongResultsError: it has other models, or another number of texts.
    """
    results = body.get("results") if isinstance(body, dict) else None
    if not isinstance(results, list):
        raise WrongResultsError("the answer has no results")
    given = [result.get("model_id") if isinstance(result, dict) else None for result in results]
    asked = [setting.model_id for setting in settings]
    if given != asked:
        raise WrongResultsError(f"the answer is of the models {given}, not of {asked}")
    return tuple(
        _scored(result.get("predictions"), setting, its, texts)
        for result, setting, its in zip(results, settings, labels, strict=True)
    )


def _scored(predictions: object, setting: Setting, labels: Sequence[str], texts: int) -> Scored:
    if not isinstance(predictions, list) or len(predictions) != texts:
        count = len(predictions) if isinstance(predictions, list) else "no"
        raise WrongResultsError(
            f"model {setting.model_id} answers {texts} texts with {count} lists of predictions"
        )
    places = {label: place for place, label in enumerate(labels)}
    scores = np.full((texts, len(labels)), -np.inf, np.float32)
    failures = {}
    for text, its in enumerate(predictions):
        try:
            for label, score in _pairs(its, setting, places):
                scores[text, places[label]] = score
        except ValueError as error:
            scores[text], failures[text] = np.nan, str(error)
    return Scored(scores, failures)


def _pairs(
    predictions: object, setting: Setting, places: Mapping[str, int]
) -> list[tuple[str, float]]:
    """Labels and scores of one text.

    Raises:
        ValueError: they are not such as were asked for.
    """
    if not isinstance(predictions, list):
        raise ValueError("its predictions are no list")
    if len(predictions) == 1 and _is_none(predictions[0]):
        return []
    pairs = [_pair(prediction) for prediction in predictions]
    pairs = [(label, score) for label, score in pairs if not setting.filters_out(label)]
    labels = [label for label, _ in pairs]
    for label in labels:
        if label not in places:
            raise ValueError(f"the service gives '{label}', which is no label of the config")
    if len(set(labels)) < len(labels):
        raise ValueError("the service gives a label twice")
    return pairs


def _is_none(prediction: object) -> bool:
    """Whether it is the none label of the service, which has no score: no label holds."""
    return (
        isinstance(prediction, dict)
        and isinstance(prediction.get("label"), str)
        and prediction.get("score", prediction.get("confidence", 0)) is None
    )


def _pair(prediction: object) -> tuple[str, float]:
    """Label and score, which some services call confidence."""
    if not isinstance(prediction, dict):
        raise ValueError("a prediction is no object")
    label, score = prediction.get("label"), prediction.get("score", prediction.get("confidence"))
    if not isinstance(label, str):
        raise ValueError("a prediction has no label")
    if not isinstance(score, int | float) or isinstance(score, bool) or not abs(score) <= _LARGEST:
        raise ValueError(f"the score of '{label}' is no finite number")
    return label, float(score)
