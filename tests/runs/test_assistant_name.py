"""A model with a personality is shown by its name: in the terminal, in exports, by the server."""

from pathlib import Path

import pytest
from factories import make_manifest, make_recipe, save_step, save_tokenizer

from firstwords.cli.main import run_command
from firstwords.cli.terminal_chat import open_chat
from firstwords.data.starter.personality import Personality
from firstwords.export.html_file import page_words
from firstwords.recipe import ModelConfig, Stage
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.runs.summary import summarize
from firstwords.serve.app import model_fields
from firstwords.serve.model_pool import ModelPool
from firstwords.tokenizer.bpe import Tokenizer

PIP = Personality(name="Pip", owner="Ada O'Neill", about=("I live in the kitchen.",))


@pytest.fixture
def run(tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, home: Path) -> Run:
    """A run of Pip with an untrained model in the stages pretrain and sft."""
    manifest = make_manifest(make_recipe(model=tiny_model), personality=PIP)
    with registry.lock_run("x") as directory:
        made = registry.create_run(directory, manifest)
    save_tokenizer(made, tiny_tokenizer)
    for stage in ("pretrain", "sft"):
        save_step(made, stage, 20, tiny_tokenizer)
    return made


def test_the_terminal_and_the_server_name_it(run: Run) -> None:
    assert open_chat("x", "sft", 0, {}).title == "Pip (x, sft, step 20)"
    assert open_chat("x", "pretrain", 0, {}).title == "x, pretrain, step 20"
    available = ModelPool(lambda: [run], max_batch_size=1, max_queue=1).available
    names = {name: model_fields(info)["personality"] for name, info in available.items()}
    assert names == {"x-sft": "Pip", "x-pretrain": None}
    assert summarize(run.directory)["personality"] == "Pip"


def exported(kind: str, stage: Stage, out: Path) -> Path:
    command = ["export", "--run", "x", "--format", kind, "--stage", stage, "--out", str(out)]
    assert run_command(command) == 0
    return out


def test_exports_name_it(run: Run, tmp_path: Path) -> None:
    page = exported("html", "sft", tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<title>Pip · Firstwords</title>" in page
    assert '<h1><span class="hidden">Chat with </span><bdi>Pip</bdi></h1>' in page
    assert '<h2 id="welcome">Chat with <bdi>Pip</bdi></h2>' in page
    assert 'placeholder="Write a message to Pip"' in page
    assert "It belongs to Ada O&#x27;Neill. It says of itself: “I am Pip. I live in the" in page
    card = (exported("hf", "sft", tmp_path / "hf") / "README.md").read_text(encoding="utf-8")
    assert "The model's name is Pip. It belongs to Ada O'Neill. It says of itself:" in card
    assert "> I am Pip. I live in the kitchen." in card


def test_a_model_that_read_no_conversations_has_no_name(run: Run, tmp_path: Path) -> None:
    page = exported("html", "pretrain", tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<title>x · Firstwords</title>" in page
    assert "Pip" not in page


@pytest.mark.parametrize("name", ["<b>Pip</b>", 'P"ip', "Ada O'Neill", "פיפ", "🙂", "x" * 24])
def test_the_page_escapes_the_name(name: str) -> None:
    words = page_words(chats=True, name=name, run_name="run")
    assert not any(mark in word for word in words.values() for mark in ("<b>", '"', "'"))
    shown = name.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    assert words["welcome"] == f"Chat with <bdi>{shown.replace(chr(39), '&#x27;')}</bdi>"


def test_without_a_personality_the_page_has_the_name_of_the_run() -> None:
    assert page_words(chats=True, name=None, run_name="default") == {
        "title": "default · Firstwords",
        "name": "default",
        "heading": "Chat:",
        "welcome": "Chat",
        "placeholder": "Write a message",
    }
