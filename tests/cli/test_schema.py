"""``labelf schema``: a JSON Schema that says of a config what labelf itself would say."""

import json
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Labelf
from pydantic import BaseModel, ValidationError

from labelf_cli.config import (
    Config,
    InputConfig,
    LabelfApiConfig,
    LlmConfig,
    ModelConfig,
    ModelDefaults,
)
from labelf_cli.config_file import load_config

Json = dict[str, Any]

KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": type(None),
}


@pytest.fixture
def schema(labelf: Labelf) -> Json:
    done = labelf("schema")
    assert (done.returncode, done.stderr) == (0, b"")
    return dict(json.loads(done.stdout))


def accepts(schema: Json, value: object, root: Json) -> bool:
    """Whether a JSON Schema accepts a value, by its references, types, keys and enumerations."""
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root)
    if alternatives := schema.get("anyOf", schema.get("oneOf")):
        fit = sum(accepts(one, value, root) for one in alternatives)
        return fit == 1 if "oneOf" in schema else fit > 0
    choice = [schema["const"]] if "const" in schema else schema.get("enum", [value])
    if not isinstance(value, KINDS[schema["type"]]) or value not in choice:
        return False
    if isinstance(value, list):
        long_enough = len(value) >= schema.get("minItems", 0)
        return long_enough and all(accepts(schema["items"], one, root) for one in value)
    if isinstance(value, dict) and "properties" in schema:
        known: Json = schema["properties"]
        return (
            set(schema.get("required", [])) <= set(value)
            and (set(value) <= set(known) or schema.get("additionalProperties", True) is not False)
            and all(accepts(known[key], value[key], root) for key in set(value) & set(known))
        )
    return True


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem
)
def test_the_examples_are_accepted(path: Path, schema: Json) -> None:
    assert accepts(schema, tomllib.loads(path.read_text("utf-8")), schema)
    assert load_config(path).models


def test_the_keys_are_those_of_the_config(schema: Json) -> None:
    sections: dict[str, type[BaseModel]] = {
        "ModelConfig": ModelConfig,
        "LabelfApiConfig": LabelfApiConfig,
        "LlmConfig": LlmConfig,
        "ModelDefaults": ModelDefaults,
        "InputConfig": InputConfig,
    }
    for name, section in sections.items():
        assert set(schema["$defs"][name]["properties"]) == set(section.model_fields)
    assert set(schema["properties"]) == set(Config.model_fields)


ENTRY: Json = {"name": "m", "path": "models/m"}
API: Json = {"name": "api", "kind": "labelf-api", "base_url": "https://a/v2", "model_id": 42}
LLM: Json = {
    "name": "llm",
    "kind": "llm",
    "base_url": "https://a/v1",
    "model": "l",
    "labels": ["a"],
}


@pytest.mark.parametrize(
    ("config", "is_valid"),
    [
        ({"models": [ENTRY], "input": {"text_column": ["subject", "body"]}}, True),
        ({"models": [ENTRY], "defaults": {"on_long": "error"}}, True),
        ({"models": [ENTRY | {"thresholds": {"Billing": 0.4}, "none_label": "none"}]}, True),
        ({"models": [ENTRY | {"kind": "zero-shot", "labels": ["a"], "multi_label": True}]}, True),
        ({"models": [ENTRY | {"kind": "zero_shot"}]}, False),
        ({"models": [ENTRY, API | {"max_predictions": 1}, LLM | {"id": 1}]}, True),
        ({"models": [LLM | {"path": "models/m"}]}, False),
        ({"models": [LLM | {"model_id": 42}]}, False),
        ({"models": [API | {"max_predictions": 1, "instructions": "Think."}]}, False),
        ({}, False),
        ({"models": []}, False),
        ({"models": [{"name": "m"}]}, False),
        ({"models": [ENTRY | {"treshold": 0.5}]}, False),
        ({"models": [ENTRY | {"on_long": "cut"}]}, False),
        ({"models": [ENTRY | {"max_predictions": 1.5}]}, False),
        ({"models": [ENTRY], "defaults": {"name": "m"}}, False),
    ],
)
def test_it_agrees_with_what_the_config_accepts(config: Json, is_valid: bool) -> None:
    schema = Config.model_json_schema()
    assert accepts(schema, config, schema) is is_valid
    with nullcontext() if is_valid else pytest.raises(ValidationError):
        Config.model_validate(config)
