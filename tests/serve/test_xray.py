"""POST /xray/inspect, and models that get newer checkpoints while the server runs."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from factories import save_step, tiny_run

from firstwords.inference.sampling import GREEDY
from firstwords.inspect.xray.inspect_run import InspectedModel, InspectRequest, inspect_text
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.runs.run import Run
from firstwords.serve.app import ServerLimits
from firstwords.serve.model_pool import ModelPool
from firstwords.serve.model_worker import QueueFullError
from firstwords.serve.server import ServeOptions, open_models, readable_runs, run_finder
from firstwords.tokenizer.bpe import Tokenizer

Serve = Callable[..., Any]
TEXT = "The old fox jumped over the old fox"


def test_response_equals_the_document_of_the_command(
    serve: Serve, wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    body = {"text": TEXT, "generate": 5, "temperature": 0, "stages": ["sft", "pretrain"]}
    response = serve().client.post("/xray/inspect", json=body)
    assert response.status_code == 200
    subjects = [
        InspectedModel(stage, 1, 2, wide_model, tiny_tokenizer) for stage in ("pretrain", "sft")
    ]
    expected = inspect_text("toy", subjects, InspectRequest(TEXT, False, 5, GREEDY))
    assert response.json() == json.loads(json.dumps(expected))


def test_default_is_the_latest_stage_of_the_newest_run(serve: Serve) -> None:
    xray = serve().client.post("/xray/inspect", json={"text": TEXT, "chat": True}).json()
    assert (xray["run"], xray["chat"]) == ("toy", True)
    assert [stage["stage"] for stage in xray["stages"]] == ["sft"]
    assert xray["stages"][0]["cache"] is None


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"text": " "}, 400, "empty"),
        ({"text": "fox " * 500}, 400, "256"),
        ({"text": "x" * 300_000}, 400, "text"),
        ({"run": "absent"}, 404, "no run 'absent'"),
        ({"stages": ["midtrain"]}, 404, "no checkpoint of midtrain yet"),
        ({"stages": ["end"]}, 400, "stages"),
        ({"stages": []}, 400, "stages"),
        ({"generate": 10_000}, 400, "generate"),
        ({"top_p": 0}, 400, "top_p"),
        ({"messages": [{"role": "assistant", "content": "fox"}]}, 400, "message 1"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "empty"),
    ],
)
def test_invalid_request_is_an_error(
    changes: dict[str, Any], status: int, message: str, serve: Serve
) -> None:
    response = serve().client.post("/xray/inspect", json={"text": TEXT, **changes})
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


def test_conversation_is_inspected_up_to_a_token(serve: Serve) -> None:
    messages = [
        {"role": "user", "content": "The old fox"},
        {"role": "assistant", "content": "The hen jumped"},
    ]
    body = {"messages": messages, "token": 1}
    xray = serve().client.post("/xray/inspect", json=body).json()
    tokens = xray["stages"][0]["tokens"]
    assert xray["messages"] == messages
    assert next(token["text"] for token in tokens if token["by"] == "answer") == "The"
    selected = tokens[xray["selected"]]
    assert (selected["by"], tokens[xray["selected"] - 1]["text"]) == ("answer", "The")


def test_tokens_are_counted_also_beyond_the_context(serve: Serve) -> None:
    client = serve().client
    inspected = client.post("/xray/inspect", json={"text": TEXT, "chat": True}).json()
    counted = client.post("/xray/count", json={"text": TEXT, "chat": True}).json()
    assert counted == {"tokens": len(inspected["stages"][0]["tokens"]), "context": 256}
    assert client.post("/xray/count", json={"text": " "}).json()["tokens"] == 0
    assert client.post("/xray/count", json={"text": "fox " * 500}).json()["tokens"] > 500


def test_api_key_is_needed_for_the_document_but_not_the_page(serve: Serve) -> None:
    client = serve(ServerLimits(api_key="open sesame")).client
    for path in ("/xray/inspect", "/xray/count"):
        assert client.post(path, json={"text": TEXT}).status_code == 401
    headers = {"authorization": "Bearer open sesame"}
    assert client.post("/xray/inspect", json={"text": TEXT}, headers=headers).status_code == 200
    page = client.get("/xray", follow_redirects=True)
    assert page.status_code == 200
    assert "unsafe" not in page.headers["content-security-policy"]


# --- newer checkpoints ----------------------------------------------------------------------------


@pytest.fixture
def run(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> Run:
    new_run = tiny_run("young", tiny_model, tiny_tokenizer)
    save_step(new_run, "pretrain", 3, tiny_tokenizer)
    return new_run


@pytest.fixture
def models(run: Run) -> Iterator[ModelPool]:
    pool = ModelPool(lambda: readable_runs(set()), max_batch_size=2, max_queue=2)
    yield pool
    pool.close()


@pytest.fixture
def client(models: ModelPool, serve: Serve) -> Any:
    """A client of a server for these models."""
    return serve(models=models).client


def steps(client: Any) -> dict[str, int]:
    return {model["id"]: model["step"] for model in client.get("/v1/models").json()["data"]}


def test_newer_checkpoints_stages_and_runs_are_listed(
    run: Run, client: Any, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    assert steps(client) == {"young-pretrain": 3}
    save_step(run, "pretrain", 7, tiny_tokenizer, seed=1)
    (stage,) = client.post("/xray/inspect", json={"text": TEXT}).json()["stages"]
    assert (stage["stage"], stage["step"], stage["steps"]) == ("pretrain", 7, 20)
    save_step(run, "midtrain", 2, tiny_tokenizer)
    save_step(tiny_run("younger", tiny_model, tiny_tokenizer), "pretrain", 1, tiny_tokenizer)
    assert steps(client) == {"younger-pretrain": 1, "young-midtrain": 2, "young-pretrain": 7}


def test_answers_use_the_listed_checkpoint(
    run: Run, client: Any, tiny_tokenizer: Tokenizer
) -> None:
    body = {"prompt": "The old fox", "max_tokens": 0, "echo": True, "logprobs": 1}

    def scores(model: str = "young-pretrain") -> Any:
        response = client.post("/v1/completions", json={**body, "model": model}).json()
        return response["choices"][0]["logprobs"]["token_logprobs"]

    before = scores()
    save_step(run, "pretrain", 7, tiny_tokenizer, seed=1)
    assert scores() == before  # until the models are listed again, or the default one is asked for
    assert scores("default") != before
    assert steps(client) == {"young-pretrain": 7}


def test_default_model_is_that_of_the_newest_finished_run(
    run: Run, client: Any, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    n_steps = run.recipe.sft.steps
    save_step(run, "sft", n_steps, tiny_tokenizer)
    younger = tiny_run("younger", tiny_model, tiny_tokenizer)
    save_step(younger, "pretrain", 1, tiny_tokenizer)
    save_step(younger, "sft", n_steps - 1, tiny_tokenizer)

    def default() -> str:
        body = {"prompt": "The", "max_tokens": 1, "model": "default"}
        return str(client.post("/v1/completions", json=body).json()["model"])

    assert default() == "young-sft"
    assert list(steps(client)) == ["young-sft", "young-pretrain", "younger-sft", "younger-pretrain"]
    save_step(younger, "sft", n_steps, tiny_tokenizer)
    assert default() == "younger-sft"


def test_server_without_a_run_finds_the_first_one(
    home: Path, serve: Serve, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    options = ServeOptions("127.0.0.1", 0, (), 1, 1, 60.0, None, ())
    find_runs = run_finder(())
    client = serve(models=open_models(find_runs, options), find_runs=find_runs).client
    assert client.get("/").status_code == 200
    assert client.get("/v1/models").json()["data"] == []
    assert client.get("/v1/runs").json()["data"] == []
    body = {"prompt": "The", "max_tokens": 1}
    missing = client.post("/v1/completions", json=body)
    assert missing.status_code == 404
    assert "firstwords train" in missing.json()["error"]["message"]
    first = tiny_run("first", tiny_model, tiny_tokenizer)
    assert [run["name"] for run in client.get("/v1/runs").json()["data"]] == ["first"]
    save_step(first, "pretrain", 1, tiny_tokenizer)
    answer = client.post("/v1/completions", json=body)
    assert answer.json()["model"] == "first-pretrain"


def test_damaged_checkpoint_is_skipped(run: Run, client: Any, tiny_tokenizer: Tokenizer) -> None:
    save_step(run, "pretrain", 7, tiny_tokenizer)
    (run.checkpoints("pretrain") / "0000007" / "model.safetensors").write_bytes(b"half")
    assert steps(client) == {"young-pretrain": 3}


def test_running_answer_finishes_on_the_model_it_started_with(
    run: Run, models: ModelPool, tiny_tokenizer: Tokenizer
) -> None:
    async def answer() -> None:
        before = models.load("young-pretrain")
        prompt = tiny_tokenizer.encode("The old fox")
        sampling = GREEDY.replace(max_tokens=20)
        job = before.worker.submit(prompt, sampling)
        save_step(run, "pretrain", 7, tiny_tokenizer)
        models.refresh()
        after = models.load("young-pretrain")
        assert after is not before
        assert (before.step, after.step) == (3, 7)
        assert models.load("young-pretrain") is after
        assert [delta.finish_reason async for delta in job.deltas()][-1]
        before.worker.close()  # waits until the job has ended
        with pytest.raises(QueueFullError):
            before.worker.submit(prompt, sampling)

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests may have a loop in this one
        thread.submit(asyncio.run, answer()).result()


def test_a_newer_checkpoint_is_loaded_even_if_the_clock_was_set_back(
    run: Run, models: ModelPool, tiny_tokenizer: Tokenizer
) -> None:
    assert models.load("young-pretrain").step == 3
    os.utime(save_step(run, "pretrain", 7, tiny_tokenizer), (1, 1))
    models.refresh()
    after = models.load("young-pretrain")
    assert after.step == 7
    assert models.load("young-pretrain") is after


def test_removed_run_is_an_error(run: Run, client: Any) -> None:
    shutil.rmtree(run.directory)
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 404
    assert client.post("/xray/inspect", json={"text": TEXT}).status_code == 404
    assert client.get("/v1/models").json()["data"] == []
