"""Clients of the API that browsers, SDKs, proxies, slow networks and attackers make."""

import contextlib
import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import torch
from fakes import ScriptedDecoder

from firstwords.common.errors import UserError
from firstwords.serve import connections, middleware
from firstwords.serve.app import ServerLimits
from firstwords.serve.chat_messages import to_conversation
from firstwords.serve.origins import parse_origin
from firstwords.serve.schema import ChatMessage
from firstwords.serve.server import check_api_key, listen, raise_open_files_limit
from firstwords.tokenizer.bpe import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer

Serve = Callable[..., Any]
CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
PAGE = "http://localhost:5173"  # a page of another server


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


class PanicException(BaseException):
    """What a panic of a library in Rust becomes: no Exception."""


def message(response: httpx.Response) -> str:
    return str(response.json()["error"]["message"])


# --- pages of other origins -----------------------------------------------------------------------


@pytest.mark.parametrize("origin", [PAGE, f"{PAGE}/", "HTTP://LocalHost:5173", "*"])
def test_preflight_of_an_sdk_needs_no_key(origin: str, serve: Serve) -> None:
    client = serve(ServerLimits(api_key="k", cors_origins=(origin,))).client
    asked = "authorization,content-type,x-stainless-os,x-stainless-retry-count"
    headers = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
    }
    response = client.options(CHAT, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] in (PAGE, "*")
    assert response.headers["access-control-allow-headers"] == asked
    assert client.options(CHAT, headers=headers | {"origin": "http://x"}).status_code == (
        200 if origin == "*" else 400
    )


def test_a_page_can_read_every_error(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve(ServerLimits(max_body_bytes=1000, api_key="k", cors_origins=(PAGE,)))
    with_key = {"origin": PAGE, "authorization": "Bearer k"}
    large = {"messages": [{"role": "user", "content": "x" * 2000}]}
    responses = [
        running.client.post(CHAT, json=HELLO, headers={"origin": PAGE}),
        running.client.post(CHAT, json={}, headers=with_key),
        running.client.post("/chat", json={}, headers=with_key),
        running.client.post(CHAT, json=large, headers=with_key),
        running.client.post(CHAT, data=HELLO, headers=with_key),
    ]
    monkeypatch.setattr(running.models, "load", lambda name: 1 / 0)
    responses.append(running.client.post(CHAT, json=HELLO, headers=with_key))
    assert [response.status_code for response in responses] == [401, 400, 404, 413, 415, 500]
    for response in responses:
        assert response.headers["access-control-allow-origin"] == PAGE
        assert message(response)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://a.example:443/", "https://a.example"),
        ("http://[::1]:80", "http://[::1]"),
        ("chrome-extension://abc", "chrome-extension://abc"),
        ("localhost:5173", None),
        ("https://a.example/path", None),
        ("http://a:x", None),
        ("null", None),
        ("", None),
    ],
)
def test_origins_are_compared_as_browsers_send_them(text: str, origin: str | None) -> None:
    if origin:
        assert parse_origin(text) == origin
    else:
        with pytest.raises(UserError, match="--cors-origin"):
            parse_origin(text)


def test_name_of_a_foreign_dns_server_is_refused(client: httpx.Client) -> None:
    for host in (
        "localhost:9000",  # through an SSH tunnel with another port
        "[::1]:8000",
        "192.168.1.5:8000",
        "app.localhost",
        "node17:8000",
        "host.docker.internal:8000",
        socket.gethostname(),
    ):
        assert client.get("/v1/models", headers={"host": host}).status_code == 200, host
    for host in ("evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "["):
        response = client.get("/v1/models", headers={"host": host})
        assert response.status_code == 403, host
        assert "--api-key" in message(response)


@pytest.mark.parametrize(
    ("host", "limits"),
    [
        ("chat.example", {"cors_origins": ("https://chat.example",)}),  # a reverse proxy
        ("gpu.uni.example:8000", {"host": "gpu.uni.example"}),
        ("chat.example", {"api_key": "k"}),
    ],
)
def test_name_that_the_user_chose_is_accepted(
    host: str, limits: dict[str, Any], serve: Serve
) -> None:
    headers = {"host": host, "authorization": "Bearer k"}
    assert serve(ServerLimits(**limits)).client.get("/v1/models", headers=headers).is_success


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({}, (PAGE, "https://evil.example", "null")),
        ({"cors_origins": (PAGE,)}, ("https://evil.example", "null")),
        ({"cors_origins": ("*",)}, ()),
        ({"api_key": "k"}, ()),
    ],
)
def test_foreign_page_cannot_post(
    limits: dict[str, Any], refused: tuple[str, ...], serve: Serve
) -> None:
    client = serve(ServerLimits(**limits)).client
    for host, origin in (
        ("localhost:8000", PAGE),
        ("localhost:8000", "https://evil.example"),
        ("localhost:8000", "null"),
        ("localhost:8000", "http://localhost:8000"),
        ("node17", "https://node17"),  # a proxy that speaks TLS
    ):
        headers = {"host": host, "origin": origin, "authorization": "Bearer k"}
        response = client.post(CHAT, json=HELLO, headers=headers)
        assert response.status_code == (403 if origin in refused else 200), origin
        if origin in refused:
            assert "--cors-origin" in message(response)


# --- near misses ----------------------------------------------------------------------------------


def test_wrong_path_gets_a_hint(client: httpx.Client) -> None:
    for method, path, hint in (
        ("POST", "/chat/completions", f"did you mean {CHAT}?"),
        ("POST", f"{CHAT}/", f"did you mean {CHAT}?"),
        ("POST", "/v1//chat/completions", f"did you mean {CHAT}?"),
        ("POST", "/v1/v1/chat/completions", f"did you mean {CHAT}?"),
        ("GET", "/models", "did you mean /v1/models?"),
        ("POST", "/v1/responses", f"use {CHAT}"),
        ("GET", "/v1/responses/r1", f"use {CHAT}"),
        ("POST", "/v1/embeddings", "no embeddings"),
        ("POST", "/v1/moderations", "no moderation"),
        ("POST", "/v1/audio/speech", "text only"),
        ("POST", "/v1/fine_tuning/jobs", "firstwords train"),
        ("POST", "/api/chat", "/api/"),
        ("DELETE", "/", "/api/"),
        ("GET", "/a%00b", "/api/"),
        ("GET", "/%ff%2e%2e/%2e%2e/etc/passwd", "/api/"),
        ("GET", "/" + "x" * 5000, "/api/"),
    ):
        response = client.request(method, path)
        assert response.status_code == 404, path
        assert hint in message(response)


def test_wrong_method_names_the_right_one(client: httpx.Client) -> None:
    response = client.get(CHAT)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert message(response) == f"{CHAT} does not accept GET; use POST"


def test_head_works_where_get_does(client: httpx.Client) -> None:
    for path in ("/health", "/v1/models", "/", "/openapi.json"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))


def test_scheme_of_the_key_may_have_any_case(serve: Serve) -> None:
    client = serve(ServerLimits(api_key="open sesame")).client
    for value, status in (
        ("bearer open sesame", 200),
        ("BEARER  open sesame", 200),
        ("Basic open sesame", 401),
        ("open sesame", 401),
        ("Bearer \u00e9".encode(), 401),
    ):
        response = client.get("/v1/models", headers={"authorization": value})
        assert response.status_code == status, value


def test_body_is_json_with_the_right_or_no_content_type(client: httpx.Client) -> None:
    body = json.dumps(HELLO).encode()
    for content_type in ({}, {"content-type": "application/json; charset=utf-8"}):
        assert client.post(CHAT, content=body, headers=content_type).status_code == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        refused = client.post(CHAT, content=body, headers={"content-type": kind})
        assert refused.status_code == 415
        assert kind in message(refused)
        assert "application/json" in message(refused)


def test_strange_bodies(client: httpx.Client) -> None:
    right = json.dumps(HELLO)
    for body in (b"\xef\xbb\xbf" + right.encode(), right.encode("utf-16")):
        assert client.post(CHAT, content=body).status_code == 200
    for body in (
        b"",
        b"[]",
        b"null",
        b'{"messages": [',
        b'{"messages": "\xff"}',
        b"[" * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
        right.replace("2", "NaN").encode(),
        right.replace("2", '2, "model": "\\ud800"').encode(),
        right.replace("2", '2, "\\ud800": 1').encode(),
    ):
        response = client.post(CHAT, content=body)
        assert response.status_code == 400, body[:50]
        assert message(response)


# --- messages as SDKs send them -------------------------------------------------------------------


def test_assistant_message_may_have_no_content(client: httpx.Client) -> None:
    empty = {"content": None, "refusal": None, "audio": None, "tool_calls": [], "annotations": []}
    for answer in (empty, {}):
        body = {
            "messages": [*HELLO["messages"], {"role": "assistant", **answer}, *HELLO["messages"]],
            "max_tokens": 2,
        }
        assert client.post(CHAT, json=body).status_code == 200


def assistant(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


BLOCK = "<tool_call>2*3</tool_call><tool_response>6</tool_response>"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "9"}
RESULT_BLOCK = f'{TOOL_CALL}f({{"a":1}}){TOOL_CALL_END}<tool_response>9</tool_response>'


@pytest.mark.parametrize(
    ("messages", "conversation"),
    [
        (
            [
                {"role": "system", "content": "A"},
                {"role": "developer", "content": "B"},
                user("x"),
                {"role": "system", "content": "C"},
                user([{"type": "text", "text": "y"}, {"type": "text", "text": "z"}]),
            ],
            [("system", "A\n\nB\n\nC"), ("user", "x\n\nyz")],
        ),
        ([user("x"), assistant("Once")], [("user", "x"), ("assistant", "Once")]),
        ([user("x"), assistant(BLOCK)], [("user", "x"), ("assistant", BLOCK)]),
        (  # an answer of this server, sent back
            [
                user("x"),
                assistant("It is 6.", firstwords={"tool_calls": [{"input": "2*3", "output": "6"}]}),
                user("y"),
            ],
            [("user", "x"), ("assistant", f"{BLOCK}It is 6."), ("user", "y")],
        ),
        (  # a tool of the client, called by another model
            [user("x"), assistant(None, tool_calls=[CALL]), RESULT],
            [("user", "x"), ("assistant", RESULT_BLOCK)],
        ),
        (
            [user("x"), assistant("So", tool_calls=[CALL]), RESULT, assistant("9."), user("y")],
            [("user", "x"), ("assistant", f"So{RESULT_BLOCK}9."), ("user", "y")],
        ),
        (
            [user("x"), assistant(None), user("y")],
            [("user", "x"), ("assistant", ""), ("user", "y")],
        ),
    ],
)
def test_conversation_that_the_model_reads(
    messages: list[dict[str, Any]], conversation: list[tuple[str, str]]
) -> None:
    read = to_conversation([ChatMessage.model_validate(message) for message in messages])
    assert [(message["role"], message["content"]) for message in read] == conversation


def test_answer_continues_a_begun_one(serve: Serve, tiny_tokenizer: Tokenizer) -> None:
    rest = [*tiny_tokenizer.encode(" went home."), tiny_tokenizer.special(IM_END)]
    for begun, text in (
        ("The fox", " went home."),
        ("The fox ", "went home."),
        (" ", "went home."),
    ):
        decoder = ScriptedDecoder(tiny_tokenizer.vocab_size, rest, 256)
        body = {"messages": [user("Hi"), assistant(begun)], "temperature": 0, "max_tokens": 50}
        answer = serve(decoders={"toy-sft": decoder}).client.post(CHAT, json=body).json()
        assert answer["choices"][0]["message"]["content"] == text
        prompt = tiny_tokenizer.decode(decoder.fed[: -len(rest) + 1])
        assert prompt.endswith(f"<|im_start|>assistant\n{begun.strip()}")


def test_unsupported_field_is_refused_or_reported(client: httpx.Client) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    for fields, words in (
        ({"response_format": {"type": "json_object"}}, "plain text"),
        ({"tools": tools, "tool_choice": "required"}, "'auto' or 'none'"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "calculator"),
        ({"logit_bias": {"5": -100}}, "not supported"),
        ({"modalities": ["text", "audio"]}, "text only"),
    ):
        for path, body in ((CHAT, HELLO), ("/v1/completions", {"prompt": "a", "max_tokens": 1})):
            response = client.post(path, json={**body, **fields})
            assert response.status_code == 400
            assert response.json()["error"]["param"] == list(fields)[-1]
            assert words in message(response)
    for fields, ignored in (
        ({"tools": tools, "tool_choice": "auto"}, ["tools"]),
        (
            {"metadata": {}, "foo": 0, "user": "u", "store": True},
            ["metadata", "foo", "user", "store"],
        ),
        ({"tools": [], "tool_choice": "none", "response_format": {"type": "text"}}, []),
        ({"logit_bias": {}, "modalities": ["text"], "store": False, "foo": None}, []),
        ({"frequency_penalty": 0.5, "presence_penalty": -0.5}, []),
        ({"é" * 99: 1, "a\u200b": 1}, ["é" * 40, "a\\u200b"]),
    ):
        response = client.post(CHAT, json={**HELLO, **fields})
        assert response.json()["firstwords"]["ignored"] == ignored


def test_requests_of_open_webui(client: httpx.Client) -> None:
    """It sends its own tools, a memory as a system message, and an answer to continue."""
    memory = {"role": "system", "content": "User Context:\n1. They like foxes."}
    tool = {"type": "function", "function": {"name": "get_current_timestamp", "parameters": {}}}
    body = {
        "model": "toy-sft",
        "messages": [memory, *HELLO["messages"], assistant("The fox")],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [tool],
        "user": {"name": "Ada", "id": "1", "email": "", "role": "admin"},
        "continue_final_message": True,
        "add_generation_prompt": False,
        "frequency_penalty": 0.0,
        "logit_bias": {},
        "max_tokens": 3,
    }
    response = client.post(CHAT, json=body)
    assert response.status_code == 200
    events = [
        json.loads(line[6:]) for line in response.text.splitlines() if line[6:].startswith("{")
    ]
    assert events[0]["firstwords"]["ignored"] == ["tools", "user"]
    assert events[-1]["usage"]["total_tokens"] > 0


def test_error_names_the_field_and_the_type_that_was_sent(client: httpx.Client) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    for path, body, param, words in (
        (CHAT, {"messages": [user(None)]}, "messages[0]", "a user message needs content"),
        (CHAT, {"messages": [user(5)]}, "messages[0].content", "a string or a list, not 5"),
        (CHAT, {"messages": [user([image])]}, "messages[0].content[0].type", '"image_url", but'),
        (CHAT, {"messages": [user("x" * 200_001)]}, "messages[0].content", "has 200,001 char"),
        (CHAT, {"messages": [user("x"), RESULT]}, "messages[1].tool_call_id", "no tool call"),
        (CHAT, {"messages": [{"role": "robot"}]}, "messages[0].role", "'user'"),
        (CHAT, {"messages": []}, "messages", "messages is empty"),
        (CHAT, {**HELLO, "stop": "x" * 201}, "stop", "but at most 200 may be sent"),
        (CHAT, {**HELLO, "stop": ["x", None]}, "stop[1]", "a string, not null"),
        (CHAT, {**HELLO, "temperature": 3}, "temperature", "must be at most 2, not 3"),
        (CHAT, {**HELLO, "temperature": "hot"}, "temperature", 'must be a number, not "hot"'),
        (CHAT, {**HELLO, "seed": "9" * 23}, "seed", "must be less than 9,223"),
        (CHAT, {**HELLO, "seed": 1.5}, "seed", "must be an integer, not 1.5"),
        (CHAT, {**HELLO, "stream": "maybe"}, "stream", "must be true or false"),
        (CHAT, {**HELLO, "stream_options": []}, "stream_options", "an object, not a list"),
        (CHAT, [], None, "the body must be an object, not a list"),
        ("/v1/completions", {"prompt": ["a", 1]}, "prompt[1]", "a string, not 1"),
        ("/v1/completions", {"prompt": [1, "a"]}, "prompt[1]", "integer"),
        ("/v1/completions", {"prompt": {}}, "prompt", "a string or a list, not an object"),
        ("/v1/completions", {"prompt": [-1]}, "prompt[0]", "must be at least 0, not -1"),
        ("/v1/completions", {}, "prompt", "prompt is required"),
    ):
        response = client.post(path, json=body)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param, message(response)
        assert words in message(response)
        assert "constrained" not in message(response)
        assert "Input should" not in message(response)


def test_a_list_of_invalid_items_is_refused_at_the_first(client: httpx.Client) -> None:
    for path, body in (
        ("/v1/completions", {"prompt": [None] * 200_000}),
        ("/v1/completions", {"prompt": [[None]] * 200_000}),
        (CHAT, {"messages": [user([5] * 200_000)]}),
        (CHAT, {**HELLO, "stop": [5] * 200_000}),
    ):
        response = client.post(path, json=body)
        assert response.status_code == 400
        assert "[0]" in response.json()["error"]["param"]


def test_half_of_an_emoji_becomes_a_replacement_character(client: httpx.Client) -> None:
    for prompt in ("a\ud83d", ["a\ud83d"]):
        body = json.dumps({"prompt": prompt, "echo": True, "max_tokens": 0})
        text = client.post("/v1/completions", content=body).json()["choices"][0]["text"]
        assert text == "a\ufffd"
    parts = [{"type": "text", "text": "a\ud83d"}]
    for content in ("a\ud83d", parts):
        body = json.dumps({"messages": [{"role": "user", "content": content}], "stop": "\udc00"})
        assert client.post(CHAT, content=body).status_code == 200


def test_no_line_of_a_stream_is_cut(serve: Serve, tiny_tokenizer: Tokenizer) -> None:
    text = "a\u2028b\u2029c\u0085d é"
    script = [*tiny_tokenizer.encode(text), tiny_tokenizer.special(IM_END)]
    decoder = ScriptedDecoder(tiny_tokenizer.vocab_size, script, 256)
    client = serve(decoders={"toy-sft": decoder}).client
    body = {**HELLO, "max_tokens": 50, "temperature": 0, "stream": True}
    with client.stream("POST", CHAT, json=body) as response:
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        lines = [line[6:] for line in response.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    deltas = [json.loads(line)["choices"][0]["delta"] for line in lines]
    assert "".join(delta.get("content", "") for delta in deltas) == text


# --- failures -------------------------------------------------------------------------------------


class PanickingDecoder:
    """A decoder whose library panics in every step while `broken`."""

    def __init__(self, vocab_size: int) -> None:
        self.slots, self.context, self.vocab_size, self.broken = 2, 64, vocab_size, True

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        pass

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        if self.broken:
            raise PanicException("called `Result::unwrap()` on an `Err` value")
        return torch.zeros(len(ids), self.vocab_size)


def test_panic_while_generating_is_an_error_and_the_next_answer_works(
    serve: Serve, tiny_tokenizer: Tokenizer
) -> None:
    decoder = PanickingDecoder(tiny_tokenizer.vocab_size)
    client = serve(decoders={"toy-sft": decoder}).client
    assert client.post(CHAT, json=HELLO).status_code == 500
    streamed = client.post(CHAT, json={**HELLO, "stream": True})
    assert "the model failed" in streamed.text
    decoder.broken = False
    assert client.post(CHAT, json=HELLO).status_code == 200


def test_model_of_nan_is_an_error_and_no_invalid_json(
    serve: Serve, tiny_tokenizer: Tokenizer
) -> None:
    class NanDecoder(PanickingDecoder):
        def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
            return torch.full((len(ids), self.vocab_size), float("nan"))

    client = serve(decoders={"toy-sft": NanDecoder(tiny_tokenizer.vocab_size)}).client
    body = {**HELLO, "temperature": 0, "logprobs": True}
    assert client.post(CHAT, json=body).status_code == 500
    streamed = client.post(CHAT, json={**body, "stream": True})
    assert "the model failed" in streamed.text
    assert "NaN" not in streamed.text


@pytest.mark.parametrize("method", ["encode", "token_bytes"])
def test_panic_of_the_tokenizer_is_an_error_and_the_next_answer_works(
    method: str, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:

    def panic(*arguments: Any) -> Any:
        raise PanicException("StackOverflow")

    with monkeypatch.context() as broken:
        broken.setattr(Tokenizer, method, panic)
        failed = client.post("/v1/completions", json={"prompt": "Hi", "max_tokens": 2})
        assert failed.status_code == 500
        assert failed.json()["error"]["type"] == "server_error"
    assert client.post("/v1/completions", json={"prompt": "Hi", "max_tokens": 2}).is_success


# --- slow clients ---------------------------------------------------------------------------------


@contextlib.contextmanager
def connection(running: Any) -> Iterator[socket.socket]:
    port = int(running.url.rpartition(":")[2])
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(240)
        client.connect(("127.0.0.1", port))
        yield client


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"])
def test_connection_without_a_request_is_closed(
    sent: bytes, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.1)
    with connection(serve()) as client:
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_body_that_does_not_arrive_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.1)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    with connection(serve()) as client:
        client.sendall(head.encode() + b"{")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_client_that_stops_reading_is_disconnected(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 0.1)
    running = serve()
    with connection(running) as client:
        client.setblocking(False)
        request = b"GET /chat.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        open_connections = running.server.server_state.connections
        deadline = time.monotonic() + 240
        opened = False
        while not opened or open_connections:
            opened |= bool(open_connections)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                client.send(request * 100)
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert running.client.get("/health").is_success


def test_hundreds_of_idle_connections_block_no_one(serve: Serve) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_open_files_limit()
    running = serve()
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(connection(running))
        assert running.client.post(CHAT, json=HELLO).is_success
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# --- options of the command -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["a..b", "http://127.0.0.1", "x" * 300, "[", ""])
def test_host_that_is_no_name_is_an_error(host: str) -> None:
    with pytest.raises(UserError, match="--host"):
        listen(host, 0).close()


def test_clients_can_connect_before_the_server_runs() -> None:
    with listen("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname()).close()


def test_address_that_cannot_be_used_is_an_error() -> None:
    with listen("127.0.0.1", 0) as listening, pytest.raises(UserError, match="another --port"):
        listen("127.0.0.1", listening.getsockname()[1])
    with pytest.raises(UserError, match="choose a --host"):
        listen("203.0.113.1", 0)


@pytest.mark.parametrize("key", ["", "  ", "k\n", "schlüssel"])
def test_key_that_no_client_can_send_is_an_error(key: str) -> None:
    with pytest.raises(UserError, match="--api-key"):
        check_api_key(key)
