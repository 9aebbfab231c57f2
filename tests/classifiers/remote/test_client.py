"""A service over real sockets: what is sent again, what fails its texts, what ends the run."""

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from remote_server import Act, Hang, Remote, Reset, Respond, at_date, in_seconds, serve

from labelf_cli.classifiers.interface import Stopped
from labelf_cli.classifiers.remote.budget import Budget, Meter
from labelf_cli.classifiers.remote.client import Client, Patience
from labelf_cli.classifiers.remote.endpoint import Endpoint, OAuth
from labelf_cli.classifiers.remote.exchange import MOST_BYTES, BadReplyError, CallError, Request
from labelf_cli.errors import ConfigError, ServiceError

TEXT = "my bill of 1,240 kronor is wrong"
QUICK = Patience(attempts=3, wait_initial=0.01, wait_max=0.02, wait_jitter=0.01)
ASKED = Request(
    "POST",
    "/models/inference",
    {"texts": [TEXT], "model_settings": [{"model_id": 42}]},
    (TEXT,),
)
OK = Respond(200, {"ok": True})


@pytest.fixture
def remote() -> Iterator[Remote]:
    with serve() as remote:
        remote.labels[42] = ("TV", "Bill")
        yield remote


Open = Callable[..., Client]


@pytest.fixture
def opened(remote: Remote) -> Iterator[Open]:
    """A function that opens a service, stopped at the end."""
    services: list[Client] = []

    def open_(
        endpoint: Endpoint | None = None, budget: Budget | None = None, patience: Patience = QUICK
    ) -> Client:
        endpoint = endpoint or Endpoint(remote.v2, timeout=5)
        services.append(Client(endpoint, budget or Budget(), "model 'a'", patience))
        return services[-1]

    yield open_
    for service in services:
        service.stop()


def ask(service: Client, request: Request = ASKED) -> tuple[object, int]:
    """The answer, and how many requests it took."""
    meter = service.meter()
    return service.ask(request, lambda body: body, meter), meter.requests


@pytest.mark.parametrize(
    "fault",
    [
        in_seconds(0),
        at_date(-5),
        in_seconds(0, 503),
        Respond(408),
        Respond(429),
        Respond(500),
        Respond(502, b"<html>Bad gateway</html>"),
        Respond(503, b"", {"Retry-After": "soon"}),
        Reset(),
    ],
)
def test_what_passes_is_asked_again(fault: Act, remote: Remote, opened: Open) -> None:
    remote.script.extend([fault, fault, OK])
    assert ask(opened()) == ({"ok": True}, 3)
    assert [sent.body for sent in remote.requests] == [ASKED.body] * 3


def test_a_service_that_hangs(remote: Remote, opened: Open) -> None:
    remote.script.extend([Hang(), OK])
    assert ask(opened(Endpoint(remote.v2, timeout=0.2))) == ({"ok": True}, 2)


@pytest.mark.parametrize(("form", "seconds"), [(in_seconds, 1), (at_date, 1.9)])
def test_it_is_left_alone_as_long_as_it_says(
    form: Callable[[float], Act], seconds: float, remote: Remote, opened: Open
) -> None:
    service = opened()
    remote.script.extend([form(seconds), OK, OK])  # a date is in whole seconds
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, service)
        while not remote.requests:
            time.sleep(0.01)
        time.sleep(0.1)
        second = pool.submit(ask, service)  # it has not been told itself, but waits as well
        assert {first.result()[1], second.result()[1]} == {1, 2}
    assert 0.8 < time.monotonic() - began < 20
    assert len(remote.requests) == 3


def test_no_longer_than_is_bearable(remote: Remote, opened: Open) -> None:
    remote.script.extend([in_seconds(10**9), OK])
    began = time.monotonic()
    assert ask(opened(patience=Patience(retry_after_max=0.1)))[1] == 2
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("fault", "reason", "depends"),
    [
        (in_seconds(0), "429 Too Many Requests: slow down", False),
        (Respond(503), "503 Service Unavailable", False),
        (Respond(500), "500 Internal Server Error", False),
        (Respond(413), "413 ", True),
        (Respond(400, {"error": {"code": "context_length_exceeded"}}), "400 Bad Request", True),
        (Respond(400, {"message": "maximum context length is 9"}), "maximum context length", True),
    ],
)
def test_a_call_that_fails(
    fault: Act, reason: str, depends: bool, remote: Remote, opened: Open
) -> None:
    service = opened()
    ask(service)
    remote.script.extend([fault] * 3)
    with pytest.raises(CallError) as caught:
        ask(service)
    assert reason in caught.value.reason
    assert caught.value.depends_on_texts is depends
    assert len(remote.posts()) == (2 if depends else 4)


@pytest.mark.parametrize(("status", "halves"), [(500, True), (502, True), (503, False)])
def test_one_of_several_texts_may_be_what_breaks_it(
    status: int, halves: bool, remote: Remote, opened: Open
) -> None:
    remote.script.extend([Respond(status)] * 3)
    with pytest.raises(CallError) as caught:
        ask(opened(), Request("POST", "/models/inference", {"texts": ["a", "b"]}, ("a", "b")))
    assert caught.value.depends_on_texts is halves


def test_resets_and_silence_name_themselves(remote: Remote, opened: Open) -> None:
    service = opened(Endpoint(remote.v2, timeout=0.2))
    ask(service)
    remote.script.extend([Reset()] * 3 + [Hang()] * 3)
    with pytest.raises(CallError, match="Error"):
        ask(service)
    with pytest.raises(CallError, match=r"no answer"):
        ask(service)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Respond(401, {"error": {"message": "bad key"}}), "401 Unauthorized: bad key"),
        (Respond(404, {"message": "no model 42"}), "404 Not Found: no model 42"),
        (Respond(400, b"not like this"), "400 Bad Request: not like this"),
        (Respond(422, {"detail": [{"input": TEXT}]}), "422 Unprocessable"),
        (Respond(403, b"[" * 5000), "403 Forbidden"),
    ],
)
def test_a_refusal_ends_the_run(fault: Act, said: str, remote: Remote, opened: Open) -> None:
    remote.script.append(fault)
    with pytest.raises(ServiceError) as caught:
        ask(opened())
    assert str(caught.value).startswith(f"{remote.v2}: {said}")
    assert len(remote.requests) == 1


@pytest.mark.parametrize("status", [403, 500])
def test_neither_texts_nor_tokens_are_shown(
    status: int, remote: Remote, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "sk-very-secret")
    service = opened(Endpoint(remote.v2, "TOKEN"))
    said = f"cannot read {TEXT!r} of sk-very-secret"
    remote.script.extend([Respond(status, {"message": said})] * 3)
    with pytest.raises((ServiceError, CallError)) as caught:
        ask(service)
    assert remote.requests[0].token == "Bearer sk-very-secret"
    assert "cannot read '…' of …" in str(caught.value)


def test_a_redirect_is_not_followed(remote: Remote, opened: Open) -> None:
    with serve() as other:
        remote.script.append(Respond(307, b"", {"Location": f"{other.v2}/models/inference"}))
        with pytest.raises(ServiceError, match=r"it redirects to http://127\.0\.0\.1"):
            ask(opened())
        assert not other.requests


def test_an_answer_that_is_too_large(remote: Remote, opened: Open) -> None:
    remote.script.append(Respond(200, b" " * (MOST_BYTES + 1)))
    with pytest.raises(CallError, match="more than 64 MiB"):
        ask(opened())


def read_ok(body: object) -> object:
    if body != {"ok": True}:
        raise BadReplyError(f"wrong: {body}")
    return body


def test_what_can_not_be_read_is_asked_for_once_more(remote: Remote, opened: Open) -> None:
    service = opened()
    for bad in (Respond(200, b'{"ok": tr'), Respond(200, {"ok": False}), Respond(200, b"[" * 9999)):
        remote.script.extend([bad, OK])
        assert service.ask(ASKED, read_ok, service.meter()) == {"ok": True}
    remote.script.extend([Respond(200, {"ok": TEXT}), Respond(200, {"ok": TEXT}), OK])
    with pytest.raises(CallError, match=r"wrong: \{'ok': '…'\}"):
        service.ask(ASKED, read_ok, service.meter())
    assert len(remote.requests) == 8


def test_a_service_that_is_down_ends_the_run(remote: Remote, opened: Open) -> None:
    service = opened(patience=Patience(attempts=1, failures_in_a_row=10))
    remote.script.extend([Respond(503)] * 9 + [OK] + [Respond(503)] * 10)
    for _ in range(9):
        with pytest.raises(CallError):
            ask(service)
    ask(service)
    for _ in range(9):
        with pytest.raises(CallError):
            ask(service)
    with pytest.raises(ServiceError) as caught:
        ask(service)
    assert "the last 10 calls failed, the last one with: 503" in str(caught.value)
    assert "the same command goes on" in str(caught.value)


def test_a_service_that_was_never_there(opened: Open) -> None:
    with serve() as gone:
        url = gone.v2
    with pytest.raises(ServiceError, match=r"v2: can't be reached \(ConnectError"):
        ask(opened(Endpoint(url)))


def test_the_budget_counts_every_request(remote: Remote, opened: Open) -> None:
    budget = Budget(4)
    service = opened(budget=budget)
    remote.script.extend([Respond(503), OK, Respond(503), Respond(503), OK])
    ask(service)
    with pytest.raises(ServiceError, match="--max-requests 4 is used up"):
        ask(service)
    with pytest.raises(ServiceError, match="--max-requests 4 is used up"):
        ask(service)
    assert budget.requests == len(remote.requests) == 4


def test_a_budget_without_a_bound() -> None:
    meter = Meter(Budget())
    meter.spend()
    assert meter.requests == 1


@pytest.mark.parametrize("act", [Hang(), in_seconds(60)])
def test_it_is_stopped_at_once(act: Act, remote: Remote, opened: Open) -> None:
    service = opened(patience=Patience())
    remote.script.extend([act] * 20)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, service) for _ in range(20)]
        while len(remote.requests) < 20 and not isinstance(act, Respond):
            time.sleep(0.01)
        time.sleep(0.1)
        began = time.monotonic()
        service.stop()
        errors = [future.exception(20) for future in asked]
    assert time.monotonic() - began < 20
    assert {type(error) for error in errors} == {Stopped}
    with pytest.raises(Stopped):
        ask(service)


def test_a_missing_token_is_named(remote: Remote, opened: Open) -> None:
    with pytest.raises(ConfigError, match="environment variable NO_SUCH_TOKEN is not set"):
        opened(Endpoint(remote.v2, "NO_SUCH_TOKEN"))


class TestClientCredentials:
    @pytest.fixture
    def service(
        self, remote: Remote, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], Client]:
        monkeypatch.setenv("ID", "me")
        monkeypatch.setenv("SECRET", "hush-hush")
        remote.token = "none is given yet"
        oauth = OAuth(f"{remote.url}/oauth2/token", "ID", "SECRET", "inference")
        return lambda: opened(Endpoint(remote.v2, oauth=oauth))

    def test_all_threads_share_a_token(self, service: Callable[[], Client], remote: Remote) -> None:
        its = service()
        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(ask, its) for _ in range(20)]:
                assert future.result()[1] == 1
        assert remote.tokens_given == ["token-1"]
        first = remote.requests[0]
        assert first.content == b"grant_type=client_credentials&scope=inference"
        assert first.token == "Basic bWU6aHVzaC1odXNo"

    def test_it_is_renewed_before_it_expires(
        self, service: Callable[[], Client], remote: Remote
    ) -> None:
        its = service()
        remote.lifetime = 0.5
        ask(its)
        ask(its)
        assert len(remote.tokens_given) == 1
        time.sleep(0.5)
        assert ask(its)[1] == 1
        assert len(remote.tokens_given) == 2

    def test_it_is_renewed_once_when_it_is_refused(
        self, service: Callable[[], Client], remote: Remote
    ) -> None:
        its = service()
        ask(its)
        remote.token = "another"
        assert ask(its)[1] == 2
        assert len(remote.tokens_given) == 2
        remote.script.extend([Respond(401, {"message": "token-2 is revoked"})] * 2)
        with pytest.raises(ServiceError, match="401 Unauthorized: … is revoked"):
            ask(its)

    def test_wrong_credentials(self, remote: Remote, opened: Open) -> None:
        with pytest.raises(ConfigError, match="NO_SUCH_SECRET is not set"):
            opened(Endpoint(remote.v2, oauth=OAuth(remote.url, "ID", "NO_SUCH_SECRET")))

    @pytest.mark.parametrize("given", [{}, [], {"access_token": ""}, {"access_token": "a\nb"}])
    def test_an_answer_without_a_token(
        self, given: object, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ID", "me")
        monkeypatch.setenv("SECRET", "hush-hush")
        with serve() as other:
            other.script.append(Respond(200, given))
            oauth = OAuth(f"{other.url}/token", "ID", "SECRET")
            with pytest.raises(ServiceError, match="answers without an access_token"):
                ask(opened(Endpoint(other.v2, oauth=oauth)))


def test_it_ends_with_whoever_holds_it(remote: Remote) -> None:
    service = Client(Endpoint(remote.v2), Budget(), "model 'a'")
    ask(service)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "labelf-requests"]
    del service
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_texts_go_as_they_are(remote: Remote, opened: Open) -> None:
    body = {"texts": ["räkningen 👩‍👩‍👧 \0"], "model_settings": [{"model_id": 42}]}
    ask(opened(), Request("POST", "/models/inference", body))
    assert json.loads(remote.requests[0].content) == body
