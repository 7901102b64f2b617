"""The exported GGUF in llama.cpp, if `llama-cpp-python` is installed. It is built from source,
which takes minutes, so continuous integration skips these tests.

    pip install llama-cpp-python && bash scripts/test.sh -m slow tests/export/test_llama.py
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench, final_checkpoint

from firstwords.cli.main import run_command
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model import hf_format
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
pytestmark = pytest.mark.slow
STRINGS, PROMPTS, NEW = 1000, 20, 24
LETTERS = (
    "abcdefghij  \n\t0123456789.,;:!?'\"()äöüßéñçœøłşğ"
    "漢字かな한국어עברית🙂👩‍👩‍👧é\u200b\u00a0<|>/\\"
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("llama"), pretrain=60, midtrain=30, sft=30)
    assert bench.firstwords(*bench.train()).returncode == 0
    return bench


@pytest.fixture(scope="module")
def llama(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(bench.home))
        command = [
            "export",
            "--run",
            "x",
            "--format",
            "gguf",
            "--dtype",
            "f32",
            "--out",
            str(folder),
        ]
        assert run_command(command) == 0
    (file,) = folder.glob("*.gguf")
    return llama_cpp.Llama(str(file), n_ctx=64, n_threads=1, verbose=False)


@pytest.fixture(scope="module")
def directory(bench: Bench) -> Path:
    return final_checkpoint(bench.directory("x"), "sft")


@pytest.fixture(scope="module")
def tokenizer(directory: Path) -> Tokenizer:
    return Tokenizer.load(directory / "tokenizer.json")


def strings(make: Callable[[random.Random], str], count: int) -> list[str]:
    return [make(random.Random(seed)) for seed in range(count)]


def test_a_thousand_random_strings_have_the_same_tokens(llama: Any, tokenizer: Tokenizer) -> None:
    for text in strings(lambda rng: "".join(rng.choices(LETTERS, k=rng.randint(1, 80))), STRINGS):
        ids = llama.tokenize(text.encode(), add_bos=False, special=False)
        assert ids == list(tokenizer.encode(text)), repr(text)


def test_twenty_prompts_have_the_same_greedy_continuation(
    llama: Any, directory: Path, tokenizer: Tokenizer
) -> None:
    engine = Engine(Decoder(hf_format.load_model(directory), 1))
    sampling = GREEDY.replace(max_tokens=NEW)
    for number in range(PROMPTS):
        rng = random.Random(number)
        prompt = [rng.randrange(300) for _ in range(rng.randint(1, 30))]
        generated = llama.generate(prompt, temp=0.0, repeat_penalty=1.0)
        assert [next(generated) for _ in range(NEW)] == list(engine.generate(prompt, sampling))


def test_the_chat_template_makes_the_same_prompt(llama: Any, tokenizer: Tokenizer) -> None:
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What is it? <|im_end|> äh"},
        {"role": "assistant", "content": "It is."},
        {"role": "user", "content": "Why?"},
    ]
    template = llama.metadata["tokenizer.chat_template"]
    rendered = Jinja2ChatFormatter(template=template, eos_token="", bos_token="")(messages=messages)
    plain = [{**m, "content": m["content"].replace("<|im_end|>", "")} for m in messages]
    same = Jinja2ChatFormatter(template=template, eos_token="", bos_token="")(messages=plain)
    assert "<|im_end|> äh" in rendered.prompt
    ids = llama.tokenize(same.prompt.encode(), add_bos=False, special=True)
    assert ids == encode_prompt(tokenizer, plain)
