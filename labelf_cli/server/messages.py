"""What comes in and goes out as JSON; the OpenAPI document is made of these."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Incoming(BaseModel):
    """Base of requests: no number for a string or the other way round, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Outgoing(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _integral(value: object) -> object:
    """1.0 is an integer to JSON Schema, and one number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[int, BeforeValidator(_integral)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_integral)]
Texts = Annotated[tuple[str, ...], Field(min_length=1, description="What is classified.")]


class Asked(Incoming):
    """What is asked of one model. It stands in the place of what the config says."""

    max_predictions: Count | None = Field(None, description="Most labels for a text; omitted: all.")
    label_filter: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None, description="Only these labels; scores are not rescaled. Omitted: all."
    )
    read_full_text: bool | None = Field(
        None,
        description="Long texts: true reads all of it by windows, false cuts it; omitted: as the "
        "config says.",
    )


class ModelSetting(Asked):
    """One model, and what is asked of it."""

    model_id: Integer = Field(description="An id from /v2/models.")


class InferenceRequest(Incoming):
    """Texts and several models."""

    texts: Texts
    model_settings: Annotated[
        tuple[ModelSetting, ...], Field(min_length=1, description="One for each result.")
    ]


class ModelInferenceRequest(Asked):
    """Texts for one model."""

    texts: Texts


class Prediction(Outgoing):
    """A label and its score."""

    label: str
    score: float | None = Field(
        description="The shortest decimal that is this float32; null for the none_label."
    )


class ModelResult(Outgoing):
    """What one model says."""

    model_id: int
    model_name: str
    predictions: list[list[Prediction]] = Field(
        description="For each text its labels, best first; none for a blank text."
    )


class InferenceReply(Outgoing):
    """What several models say, in the order of the settings."""

    results: list[ModelResult]


class TextPredictions(Outgoing):
    """What a model says about one text."""

    text: str
    predictions: list[Prediction]


class ModelInfo(Outgoing):
    """A model that may be asked."""

    id: int
    name: str
    labels: list[str] = Field(description="All that it may answer, none_label aside.")
    multi_label: bool = Field(description="Whether several labels may hold for one text.")
    max_length: int | None = Field(
        description="Tokens of a text beyond which it is long; null for no limit."
    )
    on_long: str = Field(description="What becomes of a long text: truncate, window or error.")


class Health(Outgoing):
    """How the server is."""

    status: str


class ErrorReply(Outgoing):
    """Why a request is not answered."""

    status: int = Field(description="The HTTP status.")
    message: str = Field(description="What is wrong, where, and what to do now.")
    error_code: str = Field(description="What kind of thing is wrong.")
    request_id: str = Field(description="That of the X-Request-ID header.")
