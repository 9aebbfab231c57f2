"""The keys of a model in a models.toml, by what has them: every kind, local ones, services."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

Activation = Literal["softmax", "sigmoid", "none"]
OnLong = Literal["truncate", "window", "error"]
Pooling = Literal["mean", "max", "first"]
LocalKind = Literal["classifier", "zero-shot"]
Kind = Literal["classifier", "zero-shot", "labelf-api", "llm"]

Name = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]+$")]
Url = Annotated[str, Field(pattern=r"^https?://[^/?#\s]+[^?#\s]*$")]
Int = Annotated[int, Strict()]
Bool = Annotated[bool, Strict()]
Float = Annotated[float, Strict()]
Labels = Annotated[tuple[Name, ...], Field(min_length=1)]
Options = dict[Name, str | Annotated[bool, Strict()] | Int | Float]


class Settings(BaseModel):
    """Base of the sections: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CommonKeys(Settings):
    """What every kind of model has."""

    max_predictions: Int | None = Field(
        None, ge=1, description="Cap on labels per text; omitted: all labels, with their scores."
    )
    label_filter: Labels | None = Field(
        None, description="Only these labels (exact); scores are not rescaled."
    )
    threshold: Float | None = Field(
        None,
        description="Predictions under it are dropped. Multi-label models default to 0.5, "
        "others to none.",
    )
    thresholds: dict[Name, Float] = Field({}, description="Exceptions to threshold, by label.")
    none_label: Name | None = Field(None, description="The answer when no prediction passes.")
    labels: Labels | None = Field(
        None,
        description="Overrides id2label of the export; what a zero-shot or language model chooses "
        "from; what a service answers with.",
    )
    on_long: OnLong = Field(
        "truncate",
        description="A text over max_length: cut it, answer it by overlapping windows, "
        "or fail its row.",
    )
    max_length: Int | None = Field(
        None,
        ge=1,
        description="In tokens, special ones included; the model's own limit caps it. "
        "Of a service: in characters; omitted: no limit.",
    )
    only_where: dict[Name, Labels] = Field(
        {},
        description="Classify only the texts to which each of these models, by name, gives one of "
        "these labels.",
    )
    multi_label: Bool = Field(
        False,
        description="Of a zero-shot model, a language model or a service: whether several labels "
        "may hold for one text.",
    )


class LocalKeys(CommonKeys):
    """What models have that run here."""

    file: str | None = Field(
        None,
        description="Which .onnx file, relative to the model's path, where there are several.",
    )
    encoder: Path | None = Field(
        None,
        description="Folder, .onnx file or hub id of the frozen encoder that the model is a head "
        "of, relative to the config file. It runs once a text for all its heads.",
    )
    revision: Name | None = Field(
        None,
        description="Commit, tag or branch where path is a hub id; omitted: main. "
        "A full commit hash that is in the cache makes no network call.",
    )
    encoder_revision: Name | None = Field(
        None, description="Commit, tag or branch where encoder is a hub id; omitted: main."
    )
    activation: Activation | None = Field(
        None, description="From logits to scores; omitted: what the export says."
    )
    calibration_temperature: Float = Field(
        1.0,
        gt=0,
        description="Logits are divided by it before softmax or sigmoid; over 1, scores are less "
        "sure. labelf tune finds it.",
    )
    text_pair: Name | None = Field(
        None,
        description="Of a cross-encoder: the second text that each text is paired with. "
        "Only the first is ever cut.",
    )
    hypothesis_template: str = Field(
        "This example is {}.",
        description="Of a zero-shot NLI model: what a text may entail; {} stands for the label.",
    )
    stride: Int | None = Field(
        None,
        ge=0,
        description="Tokens that a window shares with the one before it; omitted: 64, or a "
        "quarter of a window if that is less.",
    )
    pooling: Pooling = Field(
        "mean",
        description="How the scores of a text's windows become its score; first looks at no other.",
    )
    token_budget: Int | None = Field(
        None,
        ge=1,
        description="Tokens in one call, padding included. It changes the speed and no score; "
        "omitted: what labelf optimize found, or 512.",
    )
    providers: Labels | None = Field(
        None,
        description="Execution providers of onnxruntime, the preferred one first; omitted: "
        "CPUExecutionProvider. One that is not there is an error.",
    )
    provider_options: dict[Name, Options] = Field(
        {}, description="Options of execution providers, by their names."
    )


class ServiceKeys(CommonKeys):
    """What models have that a service answers for."""

    base_url: Url | None = Field(
        None,
        description="Of the service, up to its version, as in https://api.labelf.ai/v2.",
    )
    token_env: Name | None = Field(
        None, description="Environment variable with the bearer token; omitted: no token is sent."
    )
    concurrency: Int = Field(8, ge=1, le=256, description="Requests at once.")
    timeout: Float = Field(60.0, gt=0, description="Seconds that one request may take.")


class LabelfApiKeys(ServiceKeys):
    """What models of a multi-model inference API have."""

    model_id: Int | None = Field(None, description="Of the model, at the service.")
    token_url: Url | None = Field(
        None, description="Where OAuth2 client credentials are exchanged for a token."
    )
    client_id_env: Name | None = Field(
        None, description="Environment variable with the OAuth2 client id."
    )
    client_secret_env: Name | None = Field(
        None, description="Environment variable with the OAuth2 client secret."
    )
    scope: Name | None = Field(None, description="OAuth2 scope that is asked for.")


class LlmKeys(ServiceKeys):
    """What language models behind an OpenAI-compatible endpoint have."""

    model: Name | None = Field(None, description="Name of the language model, at the service.")
    instructions: str | None = Field(
        None, description="Said to the language model beside the default prompt."
    )
    text_prefix: str = Field("", description="Put before each text, such as 'Headline: '.")
    response_format: Literal["json_schema", "json_object"] = Field(
        "json_schema",
        description="How the service is told the schema of its reply; json_object: with the "
        "schema beside it, as some servers take it.",
    )
    log_probabilities: Bool = Field(
        False,
        description="Ask the service for log-probabilities and make scores of them; omitted: "
        "there are no scores.",
    )
