"""Models behind a multi-model inference API, over sockets and through the kernel."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from remote_server import Act, Remote, Reset, Respond, at_date, in_seconds, serve

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.interface import Service
from labelf_cli.classifiers.remote.budget import Budget
from labelf_cli.classifiers.remote.client import Client, Patience
from labelf_cli.classifiers.remote.endpoint import Endpoint
from labelf_cli.classifiers.remote.labelf_api import LabelfApi
from labelf_cli.config import Config, LabelfApiConfig
from labelf_cli.errors import ConfigError, ServiceError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status

QUICK = Patience(attempts=3, wait_initial=0.01, wait_max=0.02, wait_jitter=0.01)
PRODUCTS, MOODS = ("Mobile", "TV", "Fixed Line"), ("Angry", "Calm")
TEXTS = [f"{PRODUCTS[n % 3]} and {MOODS[n % 2]}, case {n}" for n in range(21)]


@pytest.fixture
def remote() -> Iterator[Remote]:
    with serve() as remote:
        remote.labels = {42: PRODUCTS, 201: MOODS}
        yield remote


Keys = dict[str, Any]
Open = Callable[..., Labeller]


@pytest.fixture
def opened(remote: Remote) -> Iterator[Open]:
    """A function that loads models of the service: keys of each."""
    labellers: list[Labeller] = []

    def open_(
        *models: Keys,
        budget: Budget | None = None,
        cache: Path | None = None,
        **common: object,
    ) -> Labeller:
        configs = [
            LabelfApiConfig.model_validate(
                {"kind": "labelf-api", "name": f"m{number}", "base_url": remote.v2} | common | keys
            )
            for number, keys in enumerate(models)
        ]
        client = Client(Endpoint.of(configs[0]), budget or Budget(), "model 'm0'", QUICK)
        labeller = Labeller([LabelfApi(configs, client)], threads=1, cache=cache)
        labellers.append(labeller.load())
        return labellers[-1]

    yield open_
    for labeller in labellers:
        labeller.stop()


PRODUCT = {"model_id": 42, "labels": PRODUCTS}
MOOD = {"model_id": 201, "labels": MOODS}


def classify(labeller: Labeller, texts: list[str]) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result(60)


def best(labeller: Labeller, answers: Answers, model: int = 0) -> list[str | None]:
    labels = labeller.models[model].rules.labels
    return [None if at < 0 else labels[at] for at in answers.accepted[model].labels[:, 0]]


def test_all_models_answer_in_one_request_of_eight_texts(remote: Remote, opened: Open) -> None:
    labeller = opened(PRODUCT, MOOD)
    answers = classify(labeller, TEXTS)
    assert best(labeller, answers) == [PRODUCTS[n % 3] for n in range(21)]
    assert best(labeller, answers, 1) == [MOODS[n % 2] for n in range(21)]
    assert answers.scores[0][0].tolist() == [1, 0, 0]
    assert answers.status.tolist() == [Status.OK] * 21
    assert sorted(len(sent.texts) for sent in remote.requests) == [5, 8, 8]
    assert set(remote.asked().values()) == {1}
    assert {sent.path for sent in remote.requests} == {"/v2/models/inference"}
    assert remote.requests[0].body["model_settings"] == [{"model_id": 42}, {"model_id": 201}]
    assert answers.spent.requests == 3


def test_scores_are_those_of_the_service(remote: Remote, opened: Open) -> None:
    remote.score = lambda text, _, label: len(text) / (7 + len(label))
    remote.score_key = "confidence"
    answers = classify(opened(PRODUCT), TEXTS[:3])
    expected = [[len(text) / (7 + len(label)) for label in PRODUCTS] for text in TEXTS[:3]]
    assert answers.scores[0].tobytes() == np.array(expected, np.float32).tobytes()


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ({"max_predictions": 2}, {"max_predictions": 2}),
        ({"max_predictions": 2, "threshold": 0.5}, {"max_predictions": 2}),
        ({"max_predictions": 1, "thresholds": {"TV": 0.9}}, {}),
        ({"label_filter": ("TV",), "max_predictions": 1}, {"label_filter": ["TV"]}),
        ({"on_long": "window"}, {"read_full_text": True}),
        ({"on_long": "truncate"}, {"read_full_text": False}),
        ({"on_long": "error", "max_length": 100}, {}),
    ],
)
def test_what_is_sent_for_a_model(keys: Keys, sent: Keys, remote: Remote, opened: Open) -> None:
    classify(opened(PRODUCT | keys), ["TV"])
    assert remote.requests[0].body["model_settings"] == [{"model_id": 42} | sent]


def test_a_cap_after_thresholds_of_their_own(remote: Remote, opened: Open) -> None:
    remote.score = lambda _, __, label: {"TV": 0.8, "Mobile": 0.6, "Fixed Line": 0.1}[label]
    labeller = opened(PRODUCT | {"max_predictions": 1, "thresholds": {"TV": 0.9}})
    assert best(labeller, classify(labeller, ["x"])) == ["Mobile"]


def test_labels_that_the_config_does_not_name_are_asked_for(remote: Remote, opened: Open) -> None:
    labeller = opened({"model_id": 42, "max_predictions": 1}, MOOD)
    assert labeller.models[0].labels == (PRODUCTS, "the service says so")
    assert [(sent.method, sent.path) for sent in remote.requests] == [("GET", "/v2/models/42")]
    assert best(labeller, classify(labeller, ["TV"])) == ["TV"]


def test_a_service_that_does_not_tell_them(remote: Remote, opened: Open) -> None:
    with pytest.raises(ServiceError, match="404 Not Found: no such model"):
        opened({"model_id": 9, "max_predictions": 1})
    remote.labels[7] = ()
    with pytest.raises(ConfigError, match="'m0': the service does not tell its labels") as caught:
        opened({"model_id": 7, "max_predictions": 1})
    assert "Name them with labels in the config" in str(caught.value)


FAULTS: list[Act] = [in_seconds(0), at_date(-1), Respond(503), Respond(500), Reset()]
WRONG: list[Act] = [
    Respond(200, b'{"results": ['),
    Respond(200, {"results": []}),
    Respond(200, {"results": [{"model_id": 42, "predictions": [[]]}]}),
]


@pytest.mark.parametrize("fault", [*FAULTS, *WRONG])
def test_a_fault_that_passes_costs_nothing(fault: Act, remote: Remote, opened: Open) -> None:
    remote.script.extend([fault, fault] if fault in FAULTS else [fault])
    labeller = opened(PRODUCT)
    answers = classify(labeller, TEXTS)
    assert answers.status.tolist() == [Status.OK] * 21
    assert best(labeller, answers) == [PRODUCTS[n % 3] for n in range(21)]
    assert set(remote.answered.values()) == {1}
    assert answers.spent.requests == len(remote.requests)


@pytest.mark.parametrize("fault", WRONG)
def test_what_stays_wrong_fails_its_texts(fault: Act, remote: Remote, opened: Open) -> None:
    remote.script.extend([fault, fault])
    labeller = opened(PRODUCT, concurrency=1)
    answers = classify(labeller, TEXTS)
    longest = sorted(TEXTS, key=len, reverse=True)[:8]  # they share the first request
    failed = [text in longest for text in TEXTS]
    assert answers.status.tolist() == [Status.FAILED if its else Status.OK for its in failed]
    reasons = [why for why in answers.errors.to_pylist() if why is not None]
    assert (len(reasons), len(set(reasons))) == (8, 1)
    assert len(remote.requests) == 4


def test_what_is_too_large_is_halved(remote: Remote, opened: Open) -> None:
    remote.script.extend([Respond(413)] * 3)
    labeller = opened(PRODUCT, concurrency=1)
    answers = classify(labeller, TEXTS[:8])
    assert answers.status.tolist() == [Status.OK] * 8
    assert best(labeller, answers) == [PRODUCTS[n % 3] for n in range(8)]
    assert [len(sent.texts) for sent in remote.requests] == [8, 4, 2, 1, 1, 2, 4]
    assert set(remote.answered.values()) == {1}


def test_a_text_that_is_too_large_by_itself_fails(remote: Remote, opened: Open) -> None:
    remote.by_text["case 2"] = deque([Respond(413, {"message": "too much"})] * 9)
    answers = classify(opened(PRODUCT), TEXTS[:8])
    assert answers.status.tolist() == [Status.OK] * 2 + [Status.FAILED] + [Status.OK] * 5
    assert "m0: 413 " in answers.errors[2].as_py()


@pytest.mark.parametrize("status", [500, 502])
def test_one_poisonous_text_fails_alone(status: int, remote: Remote, opened: Open) -> None:
    remote.by_text["case 5"] = deque([Respond(status)] * 99)
    answers = classify(opened(PRODUCT), TEXTS)
    failed = [n for n in range(21) if answers.status[n] == Status.FAILED]
    assert failed == [5]
    assert answers.errors[5].as_py().startswith(f"m0: {status}")
    assert set(remote.answered.values()) == {1}


def test_a_label_that_is_not_known_fails_its_text_and_model(remote: Remote, opened: Open) -> None:
    remote.labels[42] = (*PRODUCTS, "Radio")
    remote.score = lambda text, _, label: float(label in text)
    labeller = opened(PRODUCT | {"max_predictions": 1}, MOOD)
    answers = classify(labeller, ["Radio Calm", "TV Calm"])
    assert answers.status.tolist() == [Status.FAILED, Status.OK]
    assert best(labeller, answers) == [None, "TV"]
    assert best(labeller, answers, 1) == ["Calm", "Calm"]
    assert "m0: the service gives 'Radio'" in answers.errors[0].as_py()


def test_an_unknown_model_ends_the_run(remote: Remote, opened: Open) -> None:
    labeller = opened(PRODUCT | {"model_id": 9})
    with pytest.raises(ServiceError, match="404 Not Found: there is no model 9"):
        classify(labeller, TEXTS)
    assert len(remote.requests) <= 3


def test_what_is_under_way_is_waited_for_when_the_budget_is_used_up(
    remote: Remote, opened: Open, tmp_path: Path
) -> None:
    texts = [f"TV {n}, {'slow' if 8 <= n < 16 else 'quick'}" for n in range(80)]

    def score(text: str, _: int, label: str) -> float:
        time.sleep(0.05 if "slow" in text else 0.005)
        return float(label in text)

    remote.score = score
    labeller = opened(PRODUCT, budget=Budget(2), concurrency=3, cache=tmp_path / "answers")
    with pytest.raises(ServiceError, match="--max-requests 2 is used up"), labeller:
        classify(labeller, texts)
    assert len(remote.requests) == 2
    labeller = opened(PRODUCT, budget=Budget(8), cache=tmp_path / "answers")
    assert classify(labeller, texts).status.tolist() == [Status.OK] * 80
    assert set(remote.answered.values()) == {1}


def test_texts_over_max_length_are_cut_here(remote: Remote, opened: Open) -> None:
    answers = classify(opened(PRODUCT, max_length=5), ["TV and more", "TV"])
    assert answers.status.tolist() == [Status.TRUNCATED, Status.OK]
    assert remote.requests[0].texts == ["TV an", "TV"]


def test_models_of_one_service_make_a_group(
    remote: Remote, make_config: Callable[..., Config]
) -> None:
    its = {"kind": "labelf-api", "base_url": remote.v2}
    config = make_config(
        {"name": "a", **its, **PRODUCT},
        {"name": "b", **its, **MOOD, "max_length": 9},
        {"name": "c", **its, **MOOD, "base_url": f"{remote.v2}/"},
        {"name": "d", **its, **MOOD, "base_url": f"{remote.url}/v3"},
    )
    groups = open_groups(config.models)
    assert [[m.name for m in group.models] for group in groups] == [["a", "c"], ["b"], ["d"]]
    for group in groups:
        assert isinstance(group, Service)
        assert (group.concurrency, group.texts_per_call) == (8, 8)
        group.stop()


def test_digests_hold_what_decides_an_answer(remote: Remote, opened: Open) -> None:
    digests = [
        opened(PRODUCT | keys).digests[0]
        for keys in (
            {},
            {"model_id": 43},
            {"max_predictions": 1},
            {"label_filter": ("TV",)},
            {"on_long": "window"},
            {"max_length": 7},
            {"base_url": f"{remote.url}/v1"},
            {"labels": PRODUCTS[::-1]},
        )
    ]
    assert len(set(digests)) == len(digests)
    same = opened(PRODUCT | {"threshold": 0.1, "none_label": "x", "timeout": 9.0, "name": "y"})
    assert same.digests[0] == digests[0]


def test_no_token_no_model(remote: Remote, make_config: Callable[..., Config]) -> None:
    its = {"name": "a", "kind": "labelf-api", "base_url": remote.v2, **PRODUCT}
    config = make_config(its | {"token_env": "NO_SUCH_TOKEN"})
    with pytest.raises(ConfigError, match="'a': the environment variable NO_SUCH_TOKEN"):
        open_groups(config.models)
