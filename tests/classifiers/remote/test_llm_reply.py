"""What a language model answered is checked, whatever the service promises."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_server import completion

from labelf_cli.classifiers.remote.llm_reply import ChatReply, Given, NoCompletionError, read_reply
from labelf_cli.classifiers.remote.llm_request import Dimension

TOPIC = Dimension("topic", ("space", "climate"), "none", multi_label=True)
MOOD = Dimension("mood", ("angry", "calm"))


def read(said: object, finish_reason: str = "stop", refusal: str | None = None) -> ChatReply:
    content = said if isinstance(said, str) else json.dumps(said)
    body = completion(content, finish_reason=finish_reason, refusal=refusal)
    return read_reply(body, [TOPIC, MOOD], log_probabilities=False)


def test_an_answer() -> None:
    reply = read({"topic": ["climate", "space"], "mood": "calm"})
    assert reply == ChatReply(
        {"topic": Given(("climate", "space")), "mood": Given(("calm",))}, {}, 100, 10
    )


@pytest.mark.parametrize("none", [[], ["none"]])
def test_nothing_applies(none: list[str]) -> None:
    assert read({"topic": none, "mood": "calm"}).given["topic"] == Given(())


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (["spaceflight"], "'spaceflight' is no label of the list"),
        (["Space"], "'Space' is no label of the list"),
        (["space", "space"], '\'["space", "space"]\' has a label twice'),
        (["none", "space"], "'[\"none\", \"space\"]' has 'none' beside others"),
        ("space", "'space' is no list of labels"),
        ([1], "'[1]' is no list of labels"),
        (None, "'null' is no list of labels"),
        ({"space": 1}, "'{\"space\": 1}' is no list of labels"),
        (["x" * 100], f"'{'x' * 59}…' is no label of the list"),
    ],
)
def test_a_wrong_dimension_leaves_the_other(topic: object, reason: str) -> None:
    reply = read({"topic": topic, "mood": "calm"})
    assert reply.given == {"mood": Given(("calm",))}
    assert reply.wrong == {"topic": reason}


def test_a_missing_dimension() -> None:
    assert read({"mood": "calm", "else": 1}).wrong == {"topic": "the answer lacks it"}
    assert read({"topic": [], "mood": ["calm"]}).wrong == {"mood": "'[\"calm\"]' is no label"}


@pytest.mark.parametrize(
    ("said", "more", "reason"),
    [
        ('{"topic": ["space"], "mo', {"finish_reason": "length"}, "the answer is cut off"),
        ({"topic": [], "mood": "calm"}, {"finish_reason": "length"}, "the answer is cut off"),
        ("", {"finish_reason": "content_filter"}, "withheld by the service's content filter"),
        ("", {"refusal": "I can't help."}, "refused: 'I can't help.'"),
        ("Sure! {", {}, "the answer is no JSON object: 'Sure! {'"),
        ("[]", {}, "the answer is no JSON object: '[]'"),
        ('{"topic": [], "topic": ["space"]}', {}, "the answer is no JSON object"),
        ("[" * 100_000, {}, "the answer is no JSON object"),
    ],
)
def test_an_answer_that_is_wrong_altogether(
    said: object, more: dict[str, Any], reason: str
) -> None:
    reply = read(said, **more)
    assert not reply.given
    assert set(reply.wrong) == {"topic", "mood"}
    assert reply.wrong["topic"].startswith(reason)
    assert reply.prompt_tokens == 100


def test_no_content() -> None:
    reply = read_reply(completion(None), [MOOD], log_probabilities=False)
    assert reply.wrong == {"mood": "the answer has no content"}


@pytest.mark.parametrize(
    "body", [None, [], {}, {"choices": []}, {"choices": [1]}, {"choices": [{"message": "x"}]}]
)
def test_what_is_no_chat_completion(body: object) -> None:
    with pytest.raises(NoCompletionError):
        read_reply(body, [MOOD], log_probabilities=False)


def test_no_usage_is_no_matter() -> None:
    body = completion('{"mood": "calm"}') | {"usage": None}
    assert read_reply(body, [MOOD], log_probabilities=False).prompt_tokens == 0


def test_probabilities_of_the_labels() -> None:
    said = '{"x": {"y": ["z"]}, "topic": ["space", "climate"], "mood": "angry"}'
    probabilities = {"space": 0.5, "climate": 0.25, "angry": 0.75}
    tokens = []
    rest = said
    while rest:
        word = next((w for w in probabilities if rest.startswith(w)), rest[0])
        tokens.append({"token": word, "logprob": math.log(probabilities.get(word, 0.9))})
        rest = rest[len(word) :]
    body = completion(said, tokens=tokens)
    given_ = read_reply(body, [TOPIC, MOOD], log_probabilities=True).given
    assert given_["topic"].probabilities == pytest.approx((0.5, 0.25))
    assert given_["mood"].probabilities == pytest.approx((0.75,))


def test_probabilities_that_are_missing_make_an_answer_unusable() -> None:
    reply = read_reply(completion('{"mood": "calm"}'), [MOOD], log_probabilities=True)
    assert reply.wrong == {"mood": "the answer has no log-probabilities"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["space", "none", "calm", "x"]),
    lambda its: st.lists(its, max_size=3) | st.dictionaries(st.text(max_size=3), its, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["topic", "mood", "x"]), values) | values)
def test_each_dimension_is_given_or_wrong(said: object) -> None:
    reply = read(said)
    assert sorted([*reply.given, *reply.wrong]) == ["mood", "topic"]
    assert all(label in TOPIC.labels for label in reply.given.get("topic", Given(())).labels)
