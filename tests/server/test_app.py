"""The HTTP API: shapes, what a request may ask, and what is wrong with it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import Serve, WriteModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.labeller import Labeller
from labelf_cli.server.settings import Limits

Entries = list[dict[str, Any]]
LIMITS = Limits(texts=3, characters=500, models=4)
TEXTS = ["my bill is too high", "no signal", " "]


@pytest.fixture
def entries(write_model: WriteModel) -> Entries:
    """A softmax model, a multi-label one, and one that waits for the first and fails long texts."""
    labels = ("tv", "bill", "signal", "none")
    return [
        {"name": "one", "id": 1, "path": write_model("one", labels), "max_predictions": 1},
        {
            "name": "many",
            "id": 22,
            "display_name": "Many of them",
            "path": write_model("many", seed=1),
            "activation": "sigmoid",
        },
        {
            "name": "strict",
            "id": 333,
            "path": write_model("strict", seed=2, nan_word="angry"),
            "on_long": "error",
            "max_length": 8,
            "only_where": {"one": ["tv"]},
        },
    ]


@pytest.fixture
def client(serve: Serve, entries: Entries) -> TestClient:
    return serve(*entries, limits=LIMITS)


def infer(client: TestClient, texts: list[str], *settings_: dict[str, Any]) -> list[Any]:
    """The results of a request that is good."""
    reply = client.post(
        "/v2/models/inference", json={"texts": texts, "model_settings": list(settings_)}
    )
    assert reply.status_code == 200, reply.text
    results: list[Any] = reply.json()["results"]
    return results


def scores_of(config: Config, texts: list[str]) -> list[np.ndarray[Any, Any]]:
    """What the models say in a table."""
    with Labeller.open(config, 1) as labeller:
        batch = pa.record_batch({TEXT: pa.array(texts)})
        return list(labeller.load().submit(Chunk(0, 0, batch)).result(60).scores)


def as_floats(predictions: list[dict[str, Any]]) -> dict[str, bytes]:
    return {p["label"]: np.float32(p["score"]).tobytes() for p in predictions}


class TestAnswers:
    def test_have_the_shape_of_the_service(self, client: TestClient) -> None:
        results = infer(client, TEXTS, {"model_id": 22, "max_predictions": 2}, {"model_id": 1})
        assert [list(result) for result in results] == [
            ["model_id", "model_name", "predictions"]
        ] * 2
        assert [(r["model_id"], r["model_name"]) for r in results] == [
            (22, "Many of them"),
            (1, "one"),
        ]
        for result, count in zip(results, (2, 4), strict=True):
            assert [len(its) for its in result["predictions"]] == [count, count, 0]
            for its in result["predictions"]:
                assert all(list(prediction) == ["label", "score"] for prediction in its)
                found = [prediction["score"] for prediction in its]
                assert found == sorted(found, reverse=True)

    def test_are_those_of_a_table_to_the_bit(
        self, client: TestClient, entries: Entries, make_config: Callable[..., Config]
    ) -> None:
        del entries[2]["only_where"]
        expected = scores_of(make_config(*entries), TEXTS)
        results = infer(client, TEXTS, *({"model_id": entry["id"]} for entry in entries))
        for entry, result, scores in zip(entries, results, expected, strict=True):
            labels = client.get(f"/v2/models/{entry['id']}").json()["labels"]
            for text in range(2):
                its = {n: s.tobytes() for n, s in zip(labels, scores[text], strict=True)}
                assert as_floats(result["predictions"][text]) == its

    def test_do_not_wait_for_what_other_models_say(self, client: TestClient) -> None:
        assert len(infer(client, ["my bill"], {"model_id": 333})[0]["predictions"][0]) == 3

    def test_are_given_twice_where_a_model_is_asked_twice(self, client: TestClient) -> None:
        asked = {"model_id": 22, "max_predictions": 1}
        first, other, again = infer(client, TEXTS, asked, {"model_id": 1}, asked)
        assert first == again != other

    def test_of_one_model_stand_beside_their_texts(self, client: TestClient) -> None:
        reply = client.post("/v2/models/22/inference", json={"texts": TEXTS, "max_predictions": 1})
        (result,) = infer(client, TEXTS, {"model_id": 22, "max_predictions": 1})
        assert reply.json() == [
            {"text": text, "predictions": its}
            for text, its in zip(TEXTS, result["predictions"], strict=True)
        ]

    def test_have_no_more_ranks_than_labels(self, client: TestClient) -> None:
        (result,) = infer(client, ["tv"], {"model_id": 1, "max_predictions": 10**12})
        assert len(result["predictions"][0]) == 4


class TestRules:
    """Those of the config, but for what the request says."""

    def test_a_filter_restricts_without_rescaling(self, client: TestClient) -> None:
        asked = {"model_id": 1, "label_filter": ["bill", "tv"]}
        whole, some = infer(client, ["my bill"], {"model_id": 1}, asked)
        kept = {p["label"]: p["score"] for p in whole["predictions"][0]}
        assert {p["label"]: p["score"] for p in some["predictions"][0]} == {
            label: kept[label] for label in ("tv", "bill")
        }

    def test_filter_and_cap_stand_in_the_place_of_the_configs(
        self, serve: Serve, entries: Entries
    ) -> None:
        client = serve(entries[0] | {"label_filter": ["tv"]})
        (result,) = infer(client, ["my bill"], {"model_id": 1, "label_filter": ["bill", "signal"]})
        assert {p["label"] for p in result["predictions"][0]} == {"bill", "signal"}
        assert len(infer(client, ["my bill"], {"model_id": 1})[0]["predictions"][0]) == 4

    def test_a_threshold_applies_where_the_config_sets_one(
        self, serve: Serve, entries: Entries
    ) -> None:
        (whole,) = infer(serve(entries[1]), ["my bill"], {"model_id": 22})
        scores = {p["label"]: p["score"] for p in whole["predictions"][0]}
        assert min(scores.values()) < 0.5  # the default of multi-label models in tables
        middle = sorted(scores.values())[1]
        (some,) = infer(serve(entries[1] | {"threshold": middle}), ["my bill"], {"model_id": 22})
        assert [p["score"] for p in some["predictions"][0]] == sorted(scores.values())[:0:-1]
        (last, *_) = [label for label, score in scores.items() if score == max(scores.values())]
        client = serve(entries[1] | {"thresholds": {last: 1.1}})
        (some,) = infer(client, ["my bill"], {"model_id": 22})
        assert {p["label"] for p in some["predictions"][0]} == set(scores) - {last}

    def test_a_none_label_has_no_score(self, serve: Serve, entries: Entries) -> None:
        client = serve(entries[0] | {"threshold": 1.1, "none_label": "nothing"})
        (result,) = infer(client, ["my bill", ""], {"model_id": 1})
        assert result["predictions"] == [[{"label": "nothing", "score": None}], []]


class TestLongTexts:
    @pytest.mark.parametrize(("full", "on_long"), [(True, "window"), (False, "truncate")])
    def test_are_read_as_the_request_says(
        self,
        serve: Serve,
        entries: Entries,
        make_config: Callable[..., Config],
        full: bool,
        on_long: str,
    ) -> None:
        entry = entries[0] | {"max_length": 8, "stride": 2, "pooling": "max"}
        text = "my bill is too high the tv no signal my the tv is high"
        client = serve(entry)
        absent, asked = infer(
            client, [text], {"model_id": 1}, {"model_id": 1, "read_full_text": full}
        )
        for result, its in ((absent, {}), (asked, {"on_long": on_long})):
            ((scores,),) = scores_of(make_config(entry | its), [text])
            found = as_floats(result["predictions"][0])
            assert sorted(found.values()) == sorted(score.tobytes() for score in scores)
        assert (absent == asked) is not full

    def test_fail_where_the_config_says_so(self, client: TestClient) -> None:
        texts, asked = ["tv", "my " * 9], [{"model_id": 1}, {"model_id": 333}]
        reply = client.post("/v2/models/inference", json={"texts": texts, "model_settings": asked})
        assert reply.status_code == 422
        assert reply.json()["message"] == (
            "can't be classified: texts[1]: strict: 11 tokens, more than max_length 8"
        )
        asked[1]["read_full_text"] = True
        assert infer(client, texts, *asked)[1]["predictions"][1]

    def test_and_texts_without_a_score_name_text_model_and_reason(self, client: TestClient) -> None:
        reply = client.post("/v2/models/333/inference", json={"texts": ["tv", "angry"]})
        assert (reply.status_code, reply.json()["error_code"]) == (422, "INVALID_REQUEST")
        assert reply.json()["message"] == (
            "can't be classified: texts[1]: strict: the model's answer is not a number"
        )
        assert infer(client, ["tv", "angry"], {"model_id": 1})  # which is another model's matter


def test_models_are_told(client: TestClient) -> None:
    models = client.get("/v2/models").json()
    assert models[1] == {
        "id": 22,
        "name": "Many of them",
        "labels": ["yes", "no", "maybe"],
        "multi_label": True,
        "max_length": 64,
        "on_long": "truncate",
    }
    assert [client.get(f"/v2/models/{model['id']}").json() for model in models] == models


SETTING = {"model_id": 1}
WRONG: dict[str, tuple[Any, int, str]] = {
    "no texts": ({"model_settings": [SETTING]}, 422, "texts: Field required"),
    "an empty list": (
        {"texts": [], "model_settings": [SETTING]},
        422,
        "texts: it is empty",
    ),
    "too many texts": (
        {"texts": ["a"] * 4, "model_settings": [SETTING]},
        422,
        "texts: 4 of them, more than 3. Send fewer",
    ),
    "a text that is too long": (
        {"texts": ["a", "b" * 501], "model_settings": [SETTING]},
        422,
        "texts[1]: 501 characters, more than 500. Cut it",
    ),
    "a number for a text": (
        {"texts": [1], "model_settings": [SETTING]},
        422,
        "texts[0]: Input should be a valid string",
    ),
    "a text for a number": (
        {"texts": ["a"], "model_settings": [{"model_id": "1"}]},
        422,
        "model_settings[0].model_id: Input should be a valid integer",
    ),
    "no settings": (
        {"texts": ["a"], "model_settings": []},
        422,
        "model_settings: it is empty",
    ),
    "too many settings": (
        {"texts": ["a"], "model_settings": [SETTING] * 5},
        422,
        "model_settings: 5 of them, more than 4. Send fewer",
    ),
    "an unknown key": (
        {"texts": ["a"], "model_settings": [SETTING], "text": "a"},
        422,
        "text: unknown key. Did you mean 'texts'?",
    ),
    "an unknown key of a setting": (
        {"texts": ["a"], "model_settings": [SETTING | {"max_prediction": 1}]},
        422,
        "model_settings[0].max_prediction: unknown key. Did you mean 'max_predictions'?",
    ),
    "no predictions": (
        {"texts": ["a"], "model_settings": [SETTING | {"max_predictions": 0}]},
        422,
        "model_settings[0].max_predictions: Input should be greater than or equal to 1",
    ),
    "an unknown label": (
        {"texts": ["a"], "model_settings": [SETTING | {"label_filter": ["tvs"]}]},
        422,
        "label_filter: model 1 has no label 'tvs'. Did you mean 'tv'?",
    ),
    "an unknown model": (
        {"texts": ["a"], "model_settings": [SETTING, {"model_id": 2}]},
        404,
        "no model has the id 2. Did you mean '22'?",
    ),
    "a list": ([], 422, "Input should be an object"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_request_that_is_wrong_says_what_and_where(client: TestClient, name: str) -> None:
    body, status, message = WRONG[name]
    reply = client.post("/v2/models/inference", json=body, headers={"X-Request-ID": "it-7"})
    assert (reply.status_code, reply.headers["x-request-id"]) == (status, "it-7")
    assert reply.json() == {
        "status": status,
        "message": message,
        "error_code": "NOT_FOUND" if status == 404 else "INVALID_REQUEST",
        "request_id": "it-7",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"texts",
        b"\xff\xfe",
        b'{"texts": ["\\ud800"]}',
        b'{"texts": [NaN',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"texts": ' + b"9" * 5000 + b"}",
    ],
    ids=["nothing", "a word", "no UTF-8", "half a pair", "cut", "deep", "deep objects", "digits"],
)
def test_what_is_no_json_is_said_to_be_none(client: TestClient, body: bytes) -> None:
    for path in ("/v2/models/inference", "/v2/models/1/inference"):
        reply = client.post(path, content=body)
        assert (reply.status_code, reply.json()["error_code"]) == (400, "BAD_REQUEST")
        assert reply.json()["message"].startswith("the body is not JSON: ")


def test_only_the_first_faults_are_told(client: TestClient) -> None:
    body = {"texts": list(range(9)), "model_settings": [SETTING]}
    message = client.post("/v2/models/inference", json=body).json()["message"]
    assert message.count("valid string") == 5
    assert message.endswith("; and 4 more")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 404),
        ("GET", "/v2/models/", 404),
        ("GET", "/v2/models/one", 404),
        ("GET", "/v2/models/2", 404),
        ("GET", f"/v2/models/{'9' * 5000}", 404),
        ("POST", "/v2/models/2/inference", 404),
        ("GET", "/v2/models/inference", 405),
        ("DELETE", "/v2/models/1", 405),
        ("POST", "/", 405),
    ],
)
def test_errors_are_alike_for_all_paths(
    client: TestClient, method: str, path: str, status: int
) -> None:
    reply = client.request(method, path)
    assert reply.status_code == status
    assert list(reply.json()) == ["status", "message", "error_code", "request_id"]
    assert reply.json()["status"] == status
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert ("allow" in reply.headers) is (status == 405)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "texts",
                        "model_settings",
                        "model_id",
                        "max_predictions",
                        "label_filter",
                        "read_full_text",
                    ]
                ),
                inner,
            )
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_breaks_it(client: TestClient, value: object) -> None:
    for path in ("/v2/models/inference", "/v2/models/1/inference"):
        reply = client.post(path, content=json.dumps(value))
        assert reply.status_code in (200, 400, 404, 422)
