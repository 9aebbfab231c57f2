"""What a language model answered, checked here as well, whatever the service promises."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labelf_cli.classifiers.remote.llm_request import Dimension
from labelf_cli.classifiers.remote.log_probabilities import NoProbabilitiesError, SpelledTokens

_SHOWN = 60
"""Characters of something wrong that a reason quotes."""


@dataclass(frozen=True)
class Given:
    """The labels that were given in one dimension, best first; none for the none label.

    Attributes:
        labels: of the dimension's ``labels``.
        probabilities: one for each, if they were asked for; else empty.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class ChatReply:
    """What one chat completion says.

    Attributes:
        given: usable answers, by property.
        wrong: why the others are of no use, by property.
        prompt_tokens, completion_tokens: that it cost, as far as the service says.
    """

    given: Mapping[str, Given]
    wrong: Mapping[str, str]
    prompt_tokens: int = 0
    completion_tokens: int = 0


class NoCompletionError(ValueError):
    """What came is no chat completion at all."""


class _UnusableError(ValueError):
    """An answer, or one of its properties, is of no use."""


@dataclass(frozen=True)
class _Said:
    """The object that was answered, with the probabilities of its strings if they are wanted."""

    values: Mapping[str, object]
    strings: Mapping[str, Sequence[float]] = field(default_factory=dict)


def read_reply(
    body: object, dimensions: Sequence[Dimension], *, log_probabilities: bool
) -> ChatReply:
    """Check an answer against what was asked.

    Args:
        body: JSON of the response.
        dimensions: that were asked.
        log_probabilities: whether they were asked for.

    Raises:
        NoCompletionError: it is no chat completion.
    """
    choice = _choice(body)
    prompt_tokens, completion_tokens = _usage(body)
    given: dict[str, Given] = {}
    wrong: dict[str, str] = {}
    try:
        said = _said(choice, log_probabilities=log_probabilities)
    except _UnusableError as error:
        wrong = {dimension.key: str(error) for dimension in dimensions}
        return ChatReply(given, wrong, prompt_tokens, completion_tokens)
    for dimension in dimensions:
        try:
            given[dimension.key] = _given(dimension, said)
        except _UnusableError as error:
            wrong[dimension.key] = str(error)
    return ChatReply(given, wrong, prompt_tokens, completion_tokens)


def _choice(body: object) -> Mapping[str, object]:
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not (isinstance(choice, dict) and isinstance(choice.get("message"), dict)):
        raise NoCompletionError("the answer is no chat completion")
    return choice


def _usage(body: object) -> tuple[int, int]:
    usage = body.get("usage") if isinstance(body, dict) else None
    counts = usage if isinstance(usage, dict) else {}
    prompt, completion = (counts.get(f"{name}_tokens") for name in ("prompt", "completion"))
    return (
        prompt if isinstance(prompt, int) else 0,
        completion if isinstance(completion, int) else 0,
    )


def _said(choice: Mapping[str, object], *, log_probabilities: bool) -> _Said:
    """The object of an answer.

    Raises:
        _UnusableError: there is none.
    """
    message = choice["message"]
    assert isinstance(message, dict)
    if message.get("refusal"):
        raise _UnusableError(f"refused: {_quoted(message['refusal'])}")
    if choice.get("finish_reason") == "content_filter":
        raise _UnusableError("withheld by the service's content filter")
    if choice.get("finish_reason") == "length":
        raise _UnusableError("the answer is cut off")
    content = message.get("content")
    if not isinstance(content, str):
        raise _UnusableError("the answer has no content")
    try:
        values = json.loads(content, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        raise _UnusableError(f"the answer is no JSON object: {_quoted(content)}") from None
    if not isinstance(values, dict):
        raise _UnusableError(f"the answer is no JSON object: {_quoted(content)}")
    return _Said(values, _strings(choice, content, values) if log_probabilities else {})


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _strings(
    choice: Mapping[str, object], content: str, values: Mapping[str, object]
) -> dict[str, list[float]]:
    """The probabilities of the strings of each property, in their order."""
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    try:
        spelled = SpelledTokens.of(content, tokens).strings()
    except NoProbabilitiesError as error:
        raise _UnusableError(str(error)) from None
    found: dict[str, list[float]] = {}
    rest = iter(spelled)
    for key, value in values.items():
        next(rest)  # the key itself
        found[key] = [next(rest)[1] for _ in range(_count_strings(value))]
    return found


def _count_strings(value: object) -> int:
    """How many literals spell a value, keys included."""
    if isinstance(value, dict):
        return len(value) + sum(map(_count_strings, value.values()))
    if isinstance(value, list):
        return sum(map(_count_strings, value))
    return int(isinstance(value, str))


def _given(dimension: Dimension, said: _Said) -> Given:
    """The labels of one dimension.

    Raises:
        _UnusableError: they are not such as were asked for.
    """
    if dimension.key not in said.values:
        raise _UnusableError("the answer lacks it")
    value = said.values[dimension.key]
    labels = value if dimension.multi_label else [value]
    if not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        form = "list of labels" if dimension.multi_label else "label"
        raise _UnusableError(f"{_quoted(value)} is no {form}")
    unknown = [label for label in labels if label not in dimension.choices]
    if unknown:
        raise _UnusableError(f"{_quoted(unknown[0])} is no label of the list")
    if len(set(labels)) < len(labels):
        raise _UnusableError(f"{_quoted(value)} has a label twice")
    if dimension.none_label in labels:
        if len(labels) > 1:
            raise _UnusableError(f"{_quoted(value)} has '{dimension.none_label}' beside others")
        return Given(())
    return Given(tuple(labels), tuple(said.strings.get(dimension.key, ())))


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return f"'{line if len(line) <= _SHOWN else line[: _SHOWN - 1] + '…'}'"
