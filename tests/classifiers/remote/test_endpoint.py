"""Addresses and secrets."""

import pytest

from labelf_cli.classifiers.remote.endpoint import Endpoint, OAuth, secret
from labelf_cli.errors import ConfigError

OAUTH = OAuth("https://auth.example/token", "ID", "SECRET")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.labelf.ai/v2",
        "https://api.openai.com/v1",
        "https://generativelanguage.example/v1beta/openai",
        "http://127.0.0.1:8000/v1",
        "http://[::1]:8000/v1",
        "http://localhost/v1",
    ],
)
def test_an_address_with_a_token(url: str) -> None:
    Endpoint(url, "TOKEN").require("model 'a'")


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (Endpoint("api.labelf.ai/v2"), "is no address of the form https://host/…"),
        (Endpoint("ftp://host/v2"), "is no address of the form"),
        (Endpoint("https:///v2"), "is no address of the form"),
        (Endpoint("https://[::/v2"), "base_url is no address"),
        (Endpoint("https://host:99999/v2"), "base_url is no address"),
        (Endpoint("https://me:secret@host/v2"), "name an environment variable with token_env"),
        (Endpoint("https://host/v2?key=1"), "has a query"),
        (Endpoint("https://host"), "has no version at its end, such as /v2 or /v1"),
        (Endpoint("https://host/v1/chat/completions"), "/chat/completions is added to it"),
        (Endpoint("http://host/v2", "TOKEN"), "would send a token in the clear; use https"),
        (Endpoint("http://10.0.0.1/v2", oauth=OAUTH), "base_url http://10.0.0.1/v2 would send"),
        (
            Endpoint("https://host/v2", oauth=OAuth("http://auth/token", "ID", "SECRET")),
            "token_url http://auth/token would send a token in the clear",
        ),
    ],
)
def test_an_address_that_can_not_be_asked(endpoint: Endpoint, reason: str) -> None:
    with pytest.raises(ConfigError, match="model 'a': ") as caught:
        endpoint.require("model 'a'")
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)


def test_http_without_a_token_is_for_the_house() -> None:
    Endpoint("http://10.0.0.1:8000/v1").require("model 'a'")


def test_a_secret_stands_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", " abc\n")
    assert secret("TOKEN", "model 'a'") == "abc"
    for value in ("", " ", "a\nb", "å"):
        monkeypatch.setenv("TOKEN", value)
        with pytest.raises(ConfigError, match="environment variable TOKEN"):
            secret("TOKEN", "model 'a'")
