"""SIGTERM to a server process that is generating many answers."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from factories import save_step, tiny_run

from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

pytestmark = pytest.mark.slow
CLIENTS = 12
TOKENS = 400
TIMEOUT = 240.0


@pytest.fixture
def server(
    home: Path, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> Iterator["subprocess.Popen[str]"]:
    slow = {"max_seq_len": 512, "n_layer": 12, "n_embd": 256, "n_hidden": 1024}
    config = tiny_model.replace(**slow)
    run = tiny_run("toy", config, tiny_tokenizer)
    save_step(run, "sft", 20, tiny_tokenizer)
    process = subprocess.Popen(
        [sys.executable, "-m", "firstwords", "serve", "--port", "0"],
        env={**os.environ, "FIRSTWORDS_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def address(server: "subprocess.Popen[str]") -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if match := re.match(r"chat: (http://\S+)", line):
            return match[1]
    raise AssertionError("the server did not start")


class Client(threading.Thread):
    """Sends one request and collects the events of its response."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.url, self.seed = url, seed
        self.lines: list[str] = []
        self.start()

    def run(self) -> None:
        body = {
            "prompt": "Once",
            "max_tokens": TOKENS,
            "seed": self.seed,
            "temperature": 1.0,
            "stream": True,
        }
        with httpx.stream(
            "POST", f"{self.url}/v1/completions", json=body, timeout=TIMEOUT
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    self.lines.append(line[6:])


def test_running_answers_are_finished_after_sigterm(server: "subprocess.Popen[str]") -> None:
    url = address(server)
    clients = [Client(url, seed) for seed in range(CLIENTS)]
    while not all(client.lines for client in clients):
        assert any(client.is_alive() for client in clients)
    assert sum(httpx.get(f"{url}/health").json()["active_requests"].values()) > CLIENTS // 3
    server.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(TIMEOUT)
        *pieces, last = client.lines
        assert last == "[DONE]"
        reasons = [json.loads(piece)["choices"][0]["finish_reason"] for piece in pieces]
        assert reasons[-1] in ("stop", "length")
    assert server.wait(TIMEOUT) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
