"""The OpenAPI document says what the server does: schemathesis finds nothing else."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import ROOT, Serve, WriteModel
from served import served

from labelf_cli.server.problems import Code
from labelf_cli.server.settings import Limits

TOKEN = "a-token-of-the-tests"


def test_the_document_tells_bounds_paths_and_statuses(
    serve: Serve, write_model: WriteModel
) -> None:
    limits = Limits(texts=5, characters=70, models=2)
    client = serve({"name": "m", "id": 1, "path": write_model()}, limits=limits)
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    request = document["components"]["schemas"]["InferenceRequest"]
    assert request["additionalProperties"] is False
    texts = request["properties"]["texts"]
    assert (texts["maxItems"], texts["items"]["maxLength"]) == (5, 70)
    assert request["properties"]["model_settings"]["maxItems"] == 2
    statuses = document["paths"]["/v2/models/inference"]["post"]["responses"]
    assert {*map(int, statuses)} == {200, *(code.value for code in Code)} - {401, 405, 500}
    assert "Retry-After" in statuses["429"]["headers"]


def test_a_token_is_told_where_one_is_needed(serve: Serve, write_model: WriteModel) -> None:
    client = serve({"name": "m", "id": 1, "path": write_model()}, tokens=("token",))
    document = client.get("/openapi.json").json()
    guarded = {
        path: "security" in operation and "401" in operation["responses"]
        for path, methods in document["paths"].items()
        for operation in methods.values()
    }
    assert {path for path, is_guarded in guarded.items() if not is_guarded} == {
        "/",
        "/openapi.json",
        "/health/live",
        "/health/ready",
    }


def with_models(document: dict[str, Any], models: list[dict[str, Any]]) -> dict[str, Any]:
    """The document with the models that there are, so that requests name them, and their labels."""
    schemas = document["components"]["schemas"]
    setting = schemas["ModelSetting"]
    schemas["ModelSetting"] = {
        "anyOf": [_of_model(setting, model["id"], model["labels"]) for model in models]
    }
    del schemas["ModelInferenceRequest"]["properties"]["label_filter"]  # of any of the models
    ids = {"anyOf": [{"enum": [model["id"] for model in models]}, {"type": "integer"}]}
    for path, methods in document["paths"].items():
        if "{model_id}" in path:
            for operation in methods.values():
                operation["parameters"][0]["schema"] = ids
    return document


def _of_model(setting: dict[str, Any], number: int, labels: list[str]) -> dict[str, Any]:
    its = copy.deepcopy(setting)
    its["properties"]["model_id"] = {"const": number}
    its["properties"]["label_filter"]["anyOf"][0]["items"] = {"enum": labels}
    return its


@pytest.mark.parametrize("examples", [25, pytest.param(500, marks=pytest.mark.long)])
def test_schemathesis_finds_nothing(tmp_path: Path, examples: int) -> None:
    """No 5xx; no status, type or header that is not documented; what is good is not refused."""
    with served(ROOT / "configs" / "models.toml", token=TOKEN) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx2.Client(base_url=server.url, headers=headers) as client:
            document = client.get("/openapi.json").json()
            models = client.get("/v2/models").json()
        (tmp_path / "openapi.json").write_text(json.dumps(with_models(document, models[:1])))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
                *("openapi.json", "--url", server.url, "--checks", "all"),
                *("--phases", "coverage,fuzzing", "--max-examples", str(examples)),
                *("--seed", "1", "--suppress-health-check", "all", "--warnings", "off"),
                *("--header", f"Authorization: Bearer {TOKEN}"),
            ],
            cwd=tmp_path,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("9 passed") == 2, done.stdout
    answered = [line for line in server.log if " /v2/models/inference 200 in" in line]
    assert len(answered) >= examples / 4  # else what it sends is refused at once
    assert not [line for line in server.log if "ERROR" in line]
