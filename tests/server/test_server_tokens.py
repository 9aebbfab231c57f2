"""Who is answered."""

from pathlib import Path

import pytest
from conftest import Serve, WriteModel

from labelf_cli.errors import UsageError
from labelf_cli.server.tokens import Tokens, read_tokens, require_safe


def test_tokens_come_from_the_environment_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# of the night shift\n\nsecond \n  third\n")
    assert read_tokens(" first\n", file) == ("first", "second", "third")
    assert read_tokens("", None) == ()


@pytest.mark.parametrize(
    ("variable", "content", "message"),
    [
        ("", b"# nothing\n\n", "FILE: there is no token in it. Write one a line"),
        ("", b"\xff", "FILE: can't be read (not UTF-8)"),
        ("", None, "FILE: can't be read (No such file or directory)"),
        (
            "",
            b"good\nnot good\n",
            "FILE, line 2: a token is made of printable ASCII characters without spaces",
        ),
        (
            "schlüssel",
            b"good",
            "LABELF_API_TOKEN: a token is made of printable ASCII characters without spaces",
        ),
    ],
)
def test_what_can_be_no_token_is_refused_and_not_quoted(
    tmp_path: Path, variable: str, content: bytes | None, message: str
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_tokens(variable, file)
    assert str(caught.value) == message.replace("FILE", str(file))


@pytest.mark.parametrize(
    ("authorization", "is_allowed"),
    [
        ("Bearer one", True),
        ("bearer two", True),
        ("Bearer  one ", True),
        ("Bearer three", False),
        ("Bearer on", False),
        ("Bearer", False),
        ("Basic one", False),
        ("one", False),
        ("Bearer öne", False),
        ("", False),
    ],
)
def test_a_request_needs_one_of_the_tokens(authorization: str, is_allowed: bool) -> None:
    assert Tokens(["one", "two"]).allow(authorization) is is_allowed
    assert Tokens([]).allow(authorization)


def test_beyond_loopback_a_token_is_needed() -> None:
    require_safe(["127.0.0.1", "127.8.9.1", "::1"], [])
    for address in ("0.0.0.0", "192.168.0.7", "::", "fe80::1%eth0"):
        require_safe([address], ["token"])
        with pytest.raises(UsageError) as caught:
            require_safe(["127.0.0.1", address], [])
        assert str(caught.value) == (
            f"--host: whoever reaches {address} could use the models. Set LABELF_API_TOKEN or "
            "--token-file, or listen on 127.0.0.1"
        )


OPEN = ["/", "/openapi.json", "/health/live", "/health/ready"]
GUARDED = ["/v2/models", "/v2/models/1", "/metrics"]


def test_which_paths_need_a_token(serve: Serve, write_model: WriteModel) -> None:
    client = serve({"name": "m", "id": 1, "path": write_model()}, tokens=("first", "second"))
    for path in OPEN:
        assert client.get(path).status_code == 200
    for path in GUARDED:
        reply = client.get(path)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert reply.json()["error_code"] == "UNAUTHORIZED"
        assert client.get(path, headers={"Authorization": "Bearer second"}).status_code == 200
    for path in ("/v2/models/inference", "/v2/models/1/inference"):
        assert client.post(path, content=b"[" * 10).status_code == 401
