"""POST /xray/look, and models that learn more while the server runs."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import fresh_run, save_step

from firstwords.inference.sampling import GREEDY
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.run import Run
from firstwords.serve.app import Limits
from firstwords.serve.models import Models
from firstwords.serve.run import every_run
from firstwords.serve.worker import Busy
from firstwords.tokenizer import Tokenizer
from firstwords.xray.look import Ask, Subject, document

Serve = Callable[..., Any]
TEXT = "The old fox jumped over the old fox"


def test_a_look_is_the_document_of_the_command(
    serve: Serve, wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    asked = {"text": TEXT, "generate": 5, "temperature": 0, "stages": ["sft", "base"]}
    response = serve().client.post("/xray/look", json=asked)
    assert response.status_code == 200
    subjects = [Subject(stage, 1, 2, wide_model, tiny_tokenizer) for stage in ("base", "sft")]
    expected = document("toy", subjects, Ask(TEXT, False, 5, GREEDY))
    assert response.json() == json.loads(json.dumps(expected))


def test_without_more_words_the_furthest_stage_of_the_newest_run_is_meant(serve: Serve) -> None:
    seen = serve().client.post("/xray/look", json={"text": TEXT, "chat": True}).json()
    assert (seen["run"], seen["chat"]) == ("toy", True)
    assert [stage["stage"] for stage in seen["stages"]] == ["sft"]
    assert seen["stages"][0]["cache"] is None


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"text": " "}, 400, "empty"),
        ({"text": "fox " * 500}, 400, "256 at most"),
        ({"text": "x" * 300_000}, 400, "text"),
        ({"run": "nobody"}, 404, "no run 'nobody'"),
        ({"stages": ["mid"]}, 404, "no checkpoint of mid yet"),
        ({"stages": ["end"]}, 400, "stages"),
        ({"stages": []}, 400, "stages"),
        ({"generate": 10_000}, 400, "generate"),
        ({"top_p": 0}, 400, "top_p"),
    ],
)
def test_what_is_wrong_is_named(
    changes: dict[str, Any], status: int, words: str, serve: Serve
) -> None:
    response = serve().client.post("/xray/look", json={"text": TEXT, **changes})
    assert response.status_code == status
    assert words in response.json()["error"]["message"]


def test_the_key_closes_it_and_the_page_stays_open(serve: Serve) -> None:
    client = serve(Limits(api_key="open sesame")).client
    assert client.post("/xray/look", json={"text": TEXT}).status_code == 401
    headers = {"authorization": "Bearer open sesame"}
    assert client.post("/xray/look", json={"text": TEXT}, headers=headers).status_code == 200
    page = client.get("/xray", follow_redirects=True)
    assert page.status_code == 200
    assert "unsafe" not in page.headers["content-security-policy"]


# --- models that learn more -----------------------------------------------------------------------


@pytest.fixture
def run(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> Run:
    made = fresh_run("young", tiny_model, tiny_tokenizer)
    save_step(made, "base", 3, tiny_tokenizer)
    return made


@pytest.fixture
def models(run: Run) -> Iterator[Models]:
    made = Models(lambda: every_run(set()), slots=2, most_waiting=2)
    yield made
    made.close()


@pytest.fixture
def client(models: Models, serve: Serve) -> Any:
    """Of a server for these models."""
    return serve(models=models).client


def steps(client: Any) -> dict[str, int]:
    return {model["id"]: model["step"] for model in client.get("/v1/models").json()["data"]}


def test_newer_checkpoints_stages_and_runs_are_seen(
    run: Run, client: Any, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    assert steps(client) == {"young-base": 3}
    save_step(run, "base", 7, tiny_tokenizer, seed=1)
    (stage,) = client.post("/xray/look", json={"text": TEXT}).json()["stages"]
    assert (stage["stage"], stage["step"], stage["steps"]) == ("base", 7, 20)
    save_step(run, "mid", 2, tiny_tokenizer)
    save_step(fresh_run("younger", tiny_model, tiny_tokenizer), "base", 1, tiny_tokenizer)
    assert steps(client) == {"younger-base": 1, "young-mid": 2, "young-base": 7}


def test_a_chat_too_is_answered_by_what_the_list_says(
    run: Run, client: Any, tiny_tokenizer: Tokenizer
) -> None:
    asked = {"prompt": "The old fox", "max_tokens": 0, "echo": True, "logprobs": 1}

    def scores() -> Any:
        body = client.post("/v1/completions", json=asked).json()
        return body["choices"][0]["logprobs"]["token_logprobs"]

    before = scores()
    save_step(run, "base", 7, tiny_tokenizer, seed=1)
    assert scores() == before  # until somebody looks
    assert steps(client) == {"young-base": 7}
    assert scores() != before


def test_a_damaged_checkpoint_is_passed_over(
    run: Run, client: Any, tiny_tokenizer: Tokenizer
) -> None:
    save_step(run, "base", 7, tiny_tokenizer)
    (run.checkpoints("base") / "0000007" / "model.safetensors").write_bytes(b"half")
    assert steps(client) == {"young-base": 3}


def test_what_runs_comes_to_its_end_on_the_model_it_began_with(
    run: Run, models: Models, tiny_tokenizer: Tokenizer
) -> None:
    async def answer() -> None:
        before = models.load("young-base")
        prompt = tiny_tokenizer.encode("The old fox")
        sampling = GREEDY.model_copy(update={"max_tokens": 20})
        job = before.worker.submit(prompt, sampling)
        save_step(run, "base", 7, tiny_tokenizer)
        models.refresh()
        after = models.load("young-base")
        assert after is not before
        assert (before.step, after.step) == (3, 7)
        assert models.load("young-base") is after
        assert [delta.reason async for delta in job.deltas()][-1]
        before.worker.close()  # waits until it has ended
        with pytest.raises(Busy):
            before.worker.submit(prompt, sampling)

    asyncio.run(answer())


def test_a_run_that_is_gone_is_said(run: Run, client: Any) -> None:
    shutil.rmtree(run.directory)
    asked = {"messages": [{"role": "user", "content": "Hi"}]}
    assert client.post("/v1/chat/completions", json=asked).status_code == 404
    assert client.post("/xray/look", json={"text": TEXT}).status_code == 404
    assert client.get("/v1/models").json()["data"] == []
