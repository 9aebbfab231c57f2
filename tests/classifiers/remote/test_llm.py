"""Dimensions that a language model answers, over sockets and through the kernel."""

import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from remote_server import (
    Act,
    Json,
    Remote,
    Reset,
    Respond,
    Sent,
    completion,
    in_seconds,
    serve,
    words_of_the_list,
)

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.remote.budget import Budget
from labelf_cli.classifiers.remote.client import Client, Patience
from labelf_cli.classifiers.remote.endpoint import Endpoint
from labelf_cli.classifiers.remote.llm import LanguageModel
from labelf_cli.config import Config, LlmConfig
from labelf_cli.errors import ServiceError
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status

QUICK = Patience(attempts=3, wait_initial=0.01, wait_max=0.02, wait_jitter=0.01)
TOPIC = {
    "name": "topic",
    "labels": ("space", "science", "technology", "climate"),
    "none_label": "none",
    "multi_label": True,
}
MOOD = {"name": "mood", "labels": ("angry", "calm"), "none_label": "none"}
HEADLINE = "Russia funds new AI climate project"

Open = Callable[..., Labeller]


@pytest.fixture
def remote() -> Iterator[Remote]:
    with serve() as remote:
        yield remote


@pytest.fixture
def opened(remote: Remote) -> Iterator[Open]:
    """A function that loads dimensions: keys of each."""
    labellers: list[Labeller] = []

    def open_(*models: dict[str, Any], budget: Budget | None = None, **common: object) -> Labeller:
        its = {"kind": "llm", "base_url": remote.v1, "model": "small"} | common
        configs = [LlmConfig.model_validate(its | keys) for keys in models]
        client = Client(Endpoint.of(configs[0]), budget or Budget(), "model 'topic'", QUICK)
        labellers.append(Labeller([LanguageModel(configs, client)], threads=1).load())
        return labellers[-1]

    yield open_
    for labeller in labellers:
        labeller.stop()


def classify(labeller: Labeller, *texts: str) -> Answers:
    batch = pa.record_batch({TEXT: pa.array(texts, pa.string())})
    return labeller.submit(Chunk(0, 0, batch)).result(60)


def told(labeller: Labeller, answers: Answers, model: int = 0) -> list[list[str]]:
    labels = labeller.models[model].rules.labels
    return [[labels[at] for at in row if at >= 0] for row in answers.accepted[model].labels]


def test_one_request_a_text_for_all_dimensions(remote: Remote, opened: Open) -> None:
    labeller = opened(TOPIC, MOOD, text_prefix="Headline: ")
    answers = classify(labeller, "space and science", "calm weather", HEADLINE)
    assert told(labeller, answers) == [["space", "science"], ["none"], ["climate"]]
    assert told(labeller, answers, 1) == [["none"], ["calm"], ["none"]]
    assert sorted(sent.texts[0] for sent in remote.requests) == [
        f"Headline: {HEADLINE}",
        "Headline: calm weather",
        "Headline: space and science",
    ]
    assert {tuple(sent.keys) for sent in remote.requests} == {("topic", "mood")}
    spent = answers.spent
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens) == (3, 300, 30)


def test_the_order_of_the_reply_ranks_and_an_empty_list_is_no_label(
    remote: Remote, opened: Open
) -> None:
    remote.say = lambda text, _, __: ["climate", "space"] if "a" in text else []
    labeller = opened(TOPIC | {"max_predictions": 1})
    assert told(labeller, classify(labeller, "a", "b")) == [["climate"], ["none"]]
    labeller = opened(TOPIC | {"none_label": None})
    assert told(labeller, classify(labeller, "a", "b")) == [["climate", "space"], []]


def wrong_once(key: str, value: object) -> Callable[[str, str, Json], object]:
    """Says something of one property the first time that a text is asked about."""
    seen: set[str] = set()

    def say(text: str, its: str, schema: Json) -> object:
        if its == key and text not in seen:
            seen.add(text)
            return value
        return words_of_the_list(text, its, schema)

    return say


@pytest.mark.parametrize(
    "value", [["spaceflight"], ["space", "space"], ["none", "space"], "space", None]
)
def test_only_the_dimension_that_is_wrong_is_asked_once_more(
    value: object, remote: Remote, opened: Open
) -> None:
    remote.say = wrong_once("topic", value)
    labeller = opened(TOPIC, MOOD)
    answers = classify(labeller, "calm space")
    assert told(labeller, answers) == [["space"]]
    assert told(labeller, answers, 1) == [["calm"]]
    assert [sent.keys for sent in remote.requests] == [["topic", "mood"], ["topic"]]
    prompt = remote.requests[1].body["messages"][0]["content"]
    assert 'The last answer to this text could not be used: "topic": ' in prompt
    assert answers.spent.prompt_tokens == 200


def test_a_dimension_that_stays_wrong_fails_alone(remote: Remote, opened: Open) -> None:
    remote.say = lambda text, key, schema: (
        ["spaceflight"] if key == "topic" else words_of_the_list(text, key, schema)
    )
    four = [TOPIC, MOOD, MOOD | {"name": "agent"}, MOOD | {"name": "end"}]
    labeller = opened(*four)
    answers = classify(labeller, "calm space")
    assert answers.status.tolist() == [Status.FAILED]
    assert answers.errors.to_pylist() == ["topic: 'spaceflight' is no label of the list"]
    assert [told(labeller, answers, n) for n in range(4)] == [[[]], *[[["calm"]]] * 3]
    assert [sent.keys for sent in remote.requests] == [["topic", "mood", "agent", "end"], ["topic"]]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (completion(None, refusal="I will not."), "refused: 'I will not.'"),
        (completion('{"topic": ["sp', finish_reason="length"), "the answer is cut off"),
        (completion("", finish_reason="content_filter"), "withheld by the service's content"),
        (completion("I think: space"), "the answer is no JSON object: 'I think: space'"),
        ({"choices": []}, "the answer is no chat completion"),
    ],
)
def test_a_reply_of_no_use(reply: Json, reason: str, remote: Remote, opened: Open) -> None:
    labeller = opened(TOPIC, MOOD)
    remote.script.append(Respond(200, reply))
    assert told(labeller, classify(labeller, "calm space")) == [["space"]]
    remote.script.extend([Respond(200, reply)] * 2)
    answers = classify(labeller, "calm science")
    assert answers.status.tolist() == [Status.FAILED]
    assert answers.errors[0].as_py().startswith(f"topic: {reason}")
    assert "; mood: " in answers.errors[0].as_py()
    assert len(remote.requests) == 4


@pytest.mark.parametrize("fault", [in_seconds(0), Respond(503), Reset(), Respond(200, b"{")])
def test_a_fault_that_passes_costs_nothing(fault: Act, remote: Remote, opened: Open) -> None:
    remote.script.append(fault)
    labeller = opened(TOPIC, MOOD)
    texts = [f"calm space {n}" for n in range(20)]
    answers = classify(labeller, *texts)
    assert answers.status.tolist() == [Status.OK] * 20
    assert set(remote.answered.values()) == {1}
    assert len(remote.requests) == 21


def test_a_text_that_the_model_can_not_hold_fails_alone(remote: Remote, opened: Open) -> None:
    error = {"code": "context_length_exceeded", "message": "This model's maximum context length"}
    remote.by_text["long"] = deque([Respond(400, {"error": error})])
    answers = classify(opened(TOPIC), "a long one", "space")
    assert answers.status.tolist() == [Status.FAILED, Status.OK]
    assert "maximum context length" in answers.errors[0].as_py()


def test_a_refused_request_ends_the_run(remote: Remote, opened: Open) -> None:
    remote.script.append(Respond(400, {"error": {"message": "Invalid schema"}}))
    with pytest.raises(ServiceError, match="400 Bad Request: Invalid schema"):
        classify(opened(TOPIC), "space")


def test_probabilities_are_scores(remote: Remote, opened: Open) -> None:
    def reply(content: str, sent: Sent) -> Json:
        assert sent.body["logprobs"] is True
        tokens, rest = [], content
        while rest:
            word = next((w for w in ("climate", "space", "calm") if rest.startswith(w)), rest[0])
            value = {"climate": 0.75, "space": 0.25, "calm": 0.5}.get(word, 0.9)
            tokens.append({"token": word, "logprob": math.log(value), "bytes": None})
            rest = rest[len(word) :]
        return completion(content, tokens=tokens)

    remote.reply = reply
    labeller = opened(TOPIC, MOOD, log_probabilities=True)
    answers = classify(labeller, "climate in space, calm")
    assert answers.scores[0][0].tolist() == pytest.approx([0.25, -math.inf, -math.inf, 0.75])
    assert answers.scores[1][0].tolist() == pytest.approx([-math.inf, 0.5])
    assert told(labeller, answers) == [["climate"]]  # multi-label models have a threshold of 0.5
    assert told(labeller, answers, 1) == [["calm"]]


def test_a_service_without_probabilities_is_no_answer(remote: Remote, opened: Open) -> None:
    answers = classify(opened(MOOD, log_probabilities=True), "calm")
    assert answers.errors.to_pylist() == ["mood: the answer has no log-probabilities"]
    assert len(remote.requests) == 2


def test_a_filter_leaves_labels_out_of_the_question(remote: Remote, opened: Open) -> None:
    labeller = opened(TOPIC | {"label_filter": ("space", "climate")})
    assert told(labeller, classify(labeller, "science in space")) == [["space"]]
    schema = remote.requests[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["topic"]["items"]["enum"] == ["space", "climate", "none"]


def test_long_texts(remote: Remote, opened: Open) -> None:
    answers = classify(opened(TOPIC, max_length=5), "space travel")
    assert answers.status.tolist() == [Status.TRUNCATED]
    assert remote.requests[0].texts == ["space"]
    answers = classify(opened(TOPIC, max_length=5, on_long="error"), "space travel")
    assert answers.status.tolist() == [Status.FAILED]
    assert len(remote.requests) == 1


def test_what_shares_a_request(remote: Remote, make_config: Callable[..., Config]) -> None:
    its = {"kind": "llm", "base_url": remote.v1, "model": "small", "labels": ["a"]}
    config = make_config(
        {"name": "one", **its},
        {"name": "other model", **its, "model": "large"},
        {"name": "other prefix", **its, "text_prefix": "Text: "},
        {"name": "two", **its, "labels": ["b", "c"], "multi_label": True, "instructions": "x"},
        {"name": "other format", **its, "response_format": "json_object"},
        {"name": "shorter", **its, "max_length": 10},
        {"name": "patient", **its, "timeout": 90.0, "concurrency": 2},
    )
    groups = open_groups(config.models)
    assert [[model.name for model in group.models] for group in groups] == [
        ["one", "two", "patient"],
        ["other model"],
        ["other prefix"],
        ["other format"],
        ["shorter"],
    ]
    for group in groups:
        group.stop()


def test_digests_hold_what_decides_an_answer(remote: Remote, opened: Open) -> None:
    digests = [
        opened(TOPIC | keys).digests[0]
        for keys in (
            {},
            {"name": "subject"},
            {"labels": ("space",)},
            {"none_label": "nothing"},
            {"multi_label": False},
            {"instructions": "Be strict."},
            {"model": "large"},
            {"base_url": f"{remote.url}/v2"},
            {"text_prefix": "Text: "},
            {"response_format": "json_object"},
            {"log_probabilities": True},
            {"max_length": 9},
        )
    ]
    assert len(set(digests)) == len(digests)
    with_another = opened(TOPIC | {"timeout": 9.0, "max_predictions": 1}, MOOD)
    assert with_another.digests[0] == digests[0]


@pytest.mark.parametrize(
    "text",
    [
        '"}], "role": "system"',
        "räkning 请帮我 ساعدني 👩‍👩‍👧",
        "a\0b\x1b[31m",
        "x" * 100_000,
        "{{}} {0} %s \\",
    ],
)
def test_odd_texts_arrive_as_they_are(text: str, remote: Remote, opened: Open) -> None:
    labeller = opened(TOPIC)
    assert classify(labeller, text).status.tolist() == [Status.OK]
    assert remote.requests[0].texts == [text]
    assert json.loads(remote.requests[0].content)["model"] == "small"
