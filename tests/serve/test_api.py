"""The API: responses in OpenAI's format, limits, and errors that name the problem."""

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import torch
from fakes import ScriptedDecoder
from waiting import wait_until

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model.transformer import Transformer
from firstwords.serve.app import ServerLimits
from firstwords.tokenizer.bpe import END_OF_TEXT, IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

Serve = Callable[..., Any]
HELLO = [{"role": "user", "content": "The old fox"}]


def chat(client: httpx.Client, **changes: Any) -> httpx.Response:
    body = {"messages": HELLO, "max_tokens": 12, "temperature": 0, **changes}
    return client.post("/v1/chat/completions", json=body)


def streamed(client: httpx.Client, path: str, body: dict[str, Any]) -> list[Any]:
    """Return the documents of a stream; its last event must be [DONE]."""
    with client.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        text = "".join(response.iter_text())
    data = re.findall(r"^data: (.*)$", text, re.MULTILINE)
    assert data[-1] == "[DONE]"
    return [json.loads(line) for line in data[:-1]]


def expected(model: Transformer, tokenizer: Tokenizer, prompt: list[int], n: int) -> str:
    sampling = GREEDY.replace(max_tokens=n)
    end = tokenizer.special(IM_END)
    tokens = []
    for token in Engine(Decoder(model, 1)).generate(prompt, sampling):
        if token == end:
            break
        tokens.append(token)
    return tokenizer.decode(tokens)


def test_models_lists_the_default_model_first(
    client: httpx.Client, wide_model: Transformer
) -> None:
    models = client.get("/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["toy-sft", "toy-pretrain"]
    assert models[0]["stage"] == "sft"
    assert models[0]["max_model_len"] == 256
    assert models[0]["parameters"] == sum(p.numel() for p in wide_model.parameters())
    assert [model["chat"] for model in models] == [True, False]
    assert client.get("/v1/models/toy-pretrain").json()["id"] == "toy-pretrain"
    assert client.get("/health").json()["status"] == "ok"


def test_answer_equals_the_engines_output(
    client: httpx.Client, wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    response = chat(client)
    assert response.status_code == 200
    document = response.json()
    choice = document["choices"][0]
    prompt = encode_prompt(tiny_tokenizer, HELLO)
    assert document["object"] == "chat.completion"
    assert document["model"] == "toy-sft"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == expected(wide_model, tiny_tokenizer, prompt, 12).strip()
    assert choice["finish_reason"] in ("stop", "length")
    usage = document["usage"]
    assert usage["prompt_tokens"] == len(prompt)
    assert usage["total_tokens"] == len(prompt) + usage["completion_tokens"]


def test_stream_adds_up_to_the_complete_answer(client: httpx.Client) -> None:
    whole = chat(client).json()["choices"][0]["message"]["content"]
    body = {"messages": HELLO, "max_tokens": 12, "temperature": 0}
    chunks = streamed(
        client, "/v1/chat/completions", {**body, "stream_options": {"include_usage": True}}
    )
    *chunks, last = chunks
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 12
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    streamed_text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert streamed_text.strip() == whole
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert reasons[-1] == "length"
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_seeded_answer_does_not_depend_on_concurrent_requests(serve: Serve) -> None:
    client = serve(slots=3).client
    options = {"temperature": 1.5, "top_k": 0, "top_p": 1.0}
    alone = [chat(client, seed=seed, **options).json()["choices"] for seed in range(6)]
    concurrent: dict[int, Any] = {}

    def ask(seed: int) -> None:
        concurrent[seed] = chat(client, seed=seed, **options).json()["choices"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [concurrent[seed] for seed in range(6)] == alone
    assert len({json.dumps(choices) for choices in alone}) > 3


def test_each_choice_has_its_own_seed(client: httpx.Client) -> None:
    options = {"temperature": 1.5, "seed": 3, "top_k": 0}
    choices = chat(client, n=3, **options).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert choices[0]["message"] == chat(client, **options).json()["choices"][0]["message"]
    assert len({choice["message"]["content"] for choice in choices}) > 1


def test_logprobs_equal_the_models(
    client: httpx.Client, wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    choice = chat(client, logprobs=True, top_logprobs=3).json()["choices"][0]
    content = choice["logprobs"]["content"]
    assert len(content) == 12
    prompt = encode_prompt(tiny_tokenizer, HELLO)
    with torch.inference_mode():
        nats_V = wide_model(torch.tensor([prompt]))[0, -1].double().log_softmax(-1)
    top = content[0]["top_logprobs"]
    assert [entry["logprob"] for entry in top] == pytest.approx(
        nats_V.topk(3).values.tolist(), abs=1e-4
    )
    assert content[0]["logprob"] == pytest.approx(float(nats_V.max()), abs=1e-4)
    assert bytes(content[0]["bytes"]).decode("utf-8", "replace") == content[0]["token"]


def test_stop_text_ends_the_answer(client: httpx.Client) -> None:
    whole = chat(client, max_tokens=30).json()["choices"][0]["message"]["content"]
    stop = whole[len(whole) // 2 :][:2]
    choice = chat(client, max_tokens=30, stop=[stop]).json()["choices"][0]
    assert choice["message"]["content"] == whole[: whole.index(stop)].strip()
    assert choice["finish_reason"] == "stop"


@pytest.fixture
def calculating(serve: Serve, tiny_tokenizer: Tokenizer) -> Callable[[], httpx.Client]:
    """Return a function that starts a server whose model calls its calculator twice."""

    def start() -> httpx.Client:
        special, encode = tiny_tokenizer.special, tiny_tokenizer.encode
        script: list[int] = []
        for before, expression in ((" So", "2*3"), (" and", "1/0")):
            call = [special(TOOL_CALL), *encode(expression), special(TOOL_CALL_END)]
            script += [*encode(before), *call]
        script += [*encode(" ok."), special(IM_END)]
        decoder = ScriptedDecoder(tiny_tokenizer.vocab_size, script, 256)
        return serve(decoders={"toy-sft": decoder}).client  # type: ignore[no-any-return]

    return start


AS_TEXT = (
    "So<tool_call>2*3</tool_call><tool_response>6</tool_response>"
    " and<tool_call>1/0</tool_call><tool_response>error</tool_response> ok."
)
CALLS = [
    {"name": "calculator", "input": "2*3", "output": "6", "offset": 2},
    {"name": "calculator", "input": "1/0", "output": "error", "offset": 6},
]


def test_calculator_calls_are_beside_the_content(calculating: Callable[[], httpx.Client]) -> None:
    choice = chat(calculating(), max_tokens=50).json()["choices"][0]
    assert choice["message"] == {
        "role": "assistant",
        "content": "So and ok.",
        "reasoning_content": "2*3 = 6\n1/0 = error",
        "firstwords": {"tool_calls": CALLS},
    }
    assert choice["finish_reason"] == "stop"


def test_calculator_calls_are_text_on_request(calculating: Callable[[], httpx.Client]) -> None:
    choice = chat(calculating(), max_tokens=50, tool_calls_as_text=True).json()["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": AS_TEXT}


@pytest.mark.parametrize("as_text", [False, True])
def test_streamed_calls_and_logprobs_agree_with_the_content(
    as_text: bool, calculating: Callable[[], httpx.Client]
) -> None:
    body = {"messages": HELLO, "max_tokens": 50, "temperature": 0, "logprobs": True}
    chunks = streamed(
        calculating(), "/v1/chat/completions", {**body, "tool_calls_as_text": as_text}
    )
    choices = [chunk["choices"][0] for chunk in chunks]
    deltas = [choice["delta"] for choice in choices]
    content = "".join(delta.get("content", "") for delta in deltas)
    logprobs = [choice["logprobs"] or {"content": []} for choice in choices]
    tokens = "".join(entry["token"] for part in logprobs for entry in part["content"])
    results = re.compile("<tool_response>.*?</tool_response>")  # the model does not write these
    assert tokens == results.sub("", content) + IM_END
    if as_text:
        assert content == " " + AS_TEXT
        return
    assert content == " So and ok."
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == (
        "2*3 = 6\n1/0 = error"
    )
    calls = [call for delta in deltas for call in delta.get("firstwords", {}).get("tool_calls", [])]
    assert [call["offset"] for call in calls] == [3, 7]


@pytest.mark.parametrize("stream", [True, False])
def test_response_says_what_the_model_did_not_read(stream: bool, client: httpx.Client) -> None:
    turn = [HELLO[0], {"role": "assistant", "content": "went home"}]
    body = {"messages": [*turn * 40, *HELLO], "max_tokens": 300, "temperature": 0, "seed": 1}
    body |= {"metadata": {"a": "b"}, "user": None}
    if stream:
        first, *_, last = streamed(client, "/v1/chat/completions", body)
        assert first["firstwords"] == last["firstwords"]
    else:
        last = client.post("/v1/chat/completions", json=body).json()
    details = last["firstwords"]
    assert (details["context"], details["cut"], details["ignored"]) == (256, False, ["metadata"])
    assert 0 < details["dropped_messages"] < 80
    (choice,) = last["choices"]
    assert (choice["finish_reason"], choice["firstwords"]["context_full"]) == ("length", True)
    long = [{"role": "user", "content": "The old fox " * 200}]
    document = chat(client, messages=long, max_tokens=2).json()
    assert document["firstwords"]["cut"]
    assert document["choices"][0]["firstwords"] == {"context_full": False}


def test_completion_continues_the_text(
    client: httpx.Client, wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    body = {"prompt": "The old fox", "max_tokens": 8, "temperature": 0}
    document = client.post("/v1/completions", json=body).json()
    prompt = [tiny_tokenizer.special(END_OF_TEXT), *tiny_tokenizer.encode("The old fox")]
    text = expected(wide_model, tiny_tokenizer, prompt, 8)
    assert document["choices"][0]["text"] == text
    chunks = streamed(client, "/v1/completions", body)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == text
    for prompts in (["The old fox", "Hi"], [prompt, [1, 2]], prompt):
        several = client.post("/v1/completions", json={**body, "prompt": prompts})
        assert several.json()["choices"][0]["text"] == text


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_echo_returns_the_logprobs_of_the_prompt(
    max_tokens: int, client: httpx.Client, wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    ids = [tiny_tokenizer.special(END_OF_TEXT), *tiny_tokenizer.encode("The river said: hello!")]
    body = {"prompt": ids, "max_tokens": max_tokens, "echo": True, "logprobs": 2, "temperature": 0}
    choice = client.post("/v1/completions", json=body).json()["choices"][0]
    logprobs = choice["logprobs"]
    assert len(logprobs["tokens"]) == len(ids) + max_tokens
    assert logprobs["token_logprobs"][0] is None
    with torch.inference_mode():
        nats_TV = wide_model(torch.tensor([ids]))[0].double().log_softmax(-1)
    expected_logprobs = nats_TV[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
    assert logprobs["token_logprobs"][1 : len(ids)] == pytest.approx(expected_logprobs, abs=1e-4)
    assert all(len(top) <= 2 for top in logprobs["top_logprobs"][1:])
    assert choice["text"].startswith("<|endoftext|>The river said: hello!")
    assert logprobs["text_offset"][1] == len("<|endoftext|>")


def test_openai_client_works(url: str) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["toy-sft", "toy-pretrain"]
    whole = client.chat.completions.create(
        model="toy-sft", messages=HELLO, max_tokens=9, temperature=0
    )
    answer = whole.choices[0].message.content
    stream = client.chat.completions.create(
        model="toy-sft", messages=HELLO, max_tokens=9, temperature=0, stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text.strip() == answer
    done = client.completions.create(model="toy-pretrain", prompt="The", max_tokens=3, logprobs=1)
    assert len(done.choices[0].logprobs.tokens) == done.usage.completion_tokens
    with pytest.raises(openai.NotFoundError, match="toy-sft"):
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="toy-sft", messages=[])


# --- errors and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("chat/completions", {}, "messages"),
        ("chat/completions", {"messages": []}, "messages"),
        ("chat/completions", {"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ("chat/completions", {"messages": [{"role": "assistant", "content": "x"}]}, "role user"),
        ("chat/completions", {"messages": HELLO, "top_logprobs": 2}, '"logprobs": true'),
        ("chat/completions", {"messages": HELLO, "temperature": -1}, "temperature"),
        ("chat/completions", {"messages": HELLO, "temperature": "hot"}, "temperature"),
        ("chat/completions", {"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ("chat/completions", {"messages": HELLO, "n": 1000}, "n"),
        ("chat/completions", {"messages": HELLO, "stop": ["a"] * 9}, "stop"),
        ("chat/completions", {"messages": HELLO, "stop": ""}, "stop"),
        (
            "chat/completions",
            {"messages": HELLO, "logprobs": True, "top_logprobs": 99},
            "at most 20",
        ),
        ("completions", {"prompt": []}, "prompt"),
        ("completions", {"prompt": [10**6]}, "vocabulary"),
        (
            "completions",
            {"prompt": [1] * 5000},
            "5,000 tokens, but the model's context of 256",
        ),
        ("completions", {"prompt": "x", "seed": 2**70}, "seed"),
        ("completions", {"prompt": ["a" + " " * 1_000_000 + "b"]}, "at most 200,000 may be sent"),
        ("completions", {"prompt": ["x"] * 8, "n": 8}, "64 answers, but the server runs"),
    ],
)
def test_invalid_request_gets_an_error_in_openais_format(
    path: str, body: dict[str, Any], words: str, client: httpx.Client
) -> None:
    response = client.post(f"/v1/{path}", json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert words in error["message"]


def test_invalid_json_and_unknown_paths_are_errors(client: httpx.Client) -> None:
    broken = client.post(
        "/v1/chat/completions", content=b"{", headers={"content-type": "application/json"}
    )
    assert broken.status_code == 400
    assert "error" in broken.json()
    assert client.get("/v1/nothing").status_code == 404
    assert client.get("/v1/models/nothing").json()["error"]["code"] == "model_not_found"
    assert client.put("/v1/models").status_code == 405


def test_too_large_body_is_refused_with_and_without_content_length(serve: Serve) -> None:
    client = serve(ServerLimits(max_body_bytes=1000)).client
    large = json.dumps({"messages": [{"role": "user", "content": "x" * 2000}]}).encode()
    whole = client.post("/v1/chat/completions", content=large)
    assert whole.status_code == 413
    parts = client.post(
        "/v1/chat/completions",
        content=iter([large[:900], large[900:]]),
        headers={"content-type": "application/json"},
    )
    assert parts.status_code == 413
    assert chat(client).status_code == 200


def test_api_key_is_needed_only_for_the_api(serve: Serve) -> None:
    client = serve(ServerLimits(api_key="open sesame")).client
    assert client.get("/v1/models").status_code == 401
    assert client.get("/v1/models", headers={"authorization": "Bearer x"}).status_code == 401
    right = client.get("/v1/models", headers={"authorization": "Bearer open sesame"})
    assert right.status_code == 200
    assert client.get("/health").status_code == 200
    assert client.get("/").status_code == 200


def test_pages_load_only_from_this_server_and_no_origin_is_allowed(client: httpx.Client) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    response = client.get("/v1/models", headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in response.headers


def test_only_configured_origins_are_allowed(serve: Serve) -> None:
    client = serve(ServerLimits(cors_origins=("https://mine.example",))).client
    for origin, allowed in (("https://mine.example", True), ("https://other.example", False)):
        headers = client.get("/v1/models", headers={"origin": origin}).headers
        assert (headers.get("access-control-allow-origin") == origin) == allowed


class SlowDecoder:
    """A decoder that takes 20 ms a step and never ends an answer."""

    def __init__(self, slots: int, vocab_size: int) -> None:
        self.slots, self.context, self.vocab_size, self.steps = slots, 256, vocab_size, 0
        self.running = threading.Event()  # a test can clear it to stop all answers for a while
        self.running.set()

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        pass

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        self.running.wait()
        time.sleep(0.02)
        self.steps += 1
        logits_BV = torch.zeros(len(ids), self.vocab_size)
        logits_BV[:, 40] = 1.0
        return logits_BV


def test_full_queue_refuses_requests_with_retry_after(
    serve: Serve, tiny_tokenizer: Tokenizer
) -> None:
    slow = SlowDecoder(1, tiny_tokenizer.vocab_size)
    slow.running.clear()
    running = serve(max_queue=1, decoders={"toy-sft": slow})
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: codes.append(chat(running.client, max_tokens=20).status_code)
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: running.models.active_requests()["toy-sft"] == 2, limit_seconds=240)
    refused = chat(running.client)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    slow.running.set()
    for thread in threads:
        thread.join()
    assert codes == [200, 200]
    assert chat(running.client, max_tokens=1).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_disconnected_client_frees_its_slot(
    stream: bool, serve: Serve, tiny_tokenizer: Tokenizer
) -> None:
    slow = SlowDecoder(1, tiny_tokenizer.vocab_size)
    running = serve(decoders={"toy-sft": slow})
    body = {"messages": HELLO, "max_tokens": 200, "temperature": 0, "stream": stream}
    if stream:
        with running.client.stream("POST", "/v1/chat/completions", json=body) as response:
            next(response.iter_text())
    else:
        with pytest.raises(httpx.ReadTimeout):
            running.client.post(
                "/v1/chat/completions", json=body, timeout=httpx.Timeout(240.0, read=0.3)
            )
    wait_until(lambda: running.models.active_requests()["toy-sft"] == 0, limit_seconds=240)
    before = slow.steps
    time.sleep(0.2)
    assert slow.steps <= before + 1


def test_answer_beyond_the_timeout_is_ended(serve: Serve, tiny_tokenizer: Tokenizer) -> None:
    slow = SlowDecoder(2, tiny_tokenizer.vocab_size)
    running = serve(ServerLimits(timeout=0.3), decoders={"toy-sft": slow})
    late = chat(running.client, max_tokens=200)
    assert late.status_code == 504
    body = {"messages": HELLO, "max_tokens": 200, "temperature": 0, "stream": True}
    with running.client.stream("POST", "/v1/chat/completions", json=body) as response:
        text = "".join(response.iter_text())
    assert "longer than 0.3 s" in text
    assert "[DONE]" not in text
    wait_until(lambda: running.models.active_requests()["toy-sft"] == 0, limit_seconds=240)


def test_failing_model_returns_an_error_and_the_next_answer_works(
    serve: Serve, tiny_tokenizer: Tokenizer
) -> None:
    class BreakingDecoder(SlowDecoder):
        broken = True

        def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
            if self.broken:
                raise RuntimeError("no")
            return super().decode(slots, ids, positions)

    breaking = BreakingDecoder(1, tiny_tokenizer.vocab_size)
    running = serve(decoders={"toy-sft": breaking})
    failed = chat(running.client)
    assert failed.status_code == 500
    assert failed.json()["error"]["type"] == "server_error"
    breaking.broken = False
    assert chat(running.client, max_tokens=2).status_code == 200


def test_metrics_count_requests_and_tokens(serve: Serve) -> None:
    client = serve().client
    chat(client)
    chat(client, temperature=-1)
    text = client.get("/metrics").text
    assert 'firstwords_requests_total{path="/v1/chat/completions",status="200"} 1.0' in text
    assert 'firstwords_requests_total{path="/v1/chat/completions",status="400"} 1.0' in text
    assert "firstwords_generated_tokens_total 12.0" in text
    assert 'firstwords_active_requests{model="toy-sft"} 0.0' in text
    assert "firstwords_time_to_first_token_seconds_count 1.0" in text
