"""The exported GGUF in llama.cpp itself, if `xllamacpp`, which contains it, is installed. It takes
102 MB, so continuous integration skips these tests.

    pip install xllamacpp && bash scripts/test.sh -m slow tests/export/test_llama.py
"""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

from firstwords.export.gguf_file import write_gguf
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import END_OF_TEXT, IM_END, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
pytestmark = pytest.mark.slow
STRINGS, PROMPTS, NEW = 1000, 20, 24
LETTERS = (
    "abcdefghij  \n\t0123456789.,;:!?'\"()äöüßéñçœøłşğ"
    "漢字かな한국어עברית🙂👩‍👩‍👧é\u200b\u00a0<|>/\\"
)


@pytest.fixture(scope="module")
def model(tiny_model: ModelConfig, random_model: Callable[..., Transformer]) -> Transformer:
    return random_model(tiny_model.replace(max_seq_len=64))


@pytest.fixture(scope="module")
def llama(
    model: Transformer, tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of llama.cpp's server with the model in float32."""
    path = tmp_path_factory.mktemp("llama") / "x.gguf"
    write_gguf(path, model, tiny_tokenizer, "f32", "x")
    options = xllamacpp.CommonParams()
    options.model.path, options.n_ctx, options.n_parallel = str(path), 64, 1
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    options.cache_type_k = options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    options.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(options)
    with httpx.Client(base_url=server.listening_address, timeout=60) as client:
        yield client


def post(llama: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    response = llama.post(path, json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_a_thousand_random_strings_have_the_same_tokens(
    llama: httpx.Client, tiny_tokenizer: Tokenizer
) -> None:
    for seed in range(STRINGS):
        rng = random.Random(seed)
        text = "".join(rng.choices(LETTERS, k=rng.randint(1, 80)))
        found = post(llama, "/tokenize", content=text, add_special=False, parse_special=False)
        assert found["tokens"] == list(tiny_tokenizer.encode(text)), repr(text)


def until_end(tokenizer: Tokenizer, ids: Iterable[int]) -> list[int]:
    """Return the tokens up to the first that ends an answer: llama.cpp stops there."""
    ends = {tokenizer.special(text) for text in (IM_END, END_OF_TEXT)}
    found: list[int] = []
    for token in ids:
        found.append(token)
        if token in ends:
            break
    return found


def test_twenty_prompts_have_the_same_greedy_continuation(
    llama: httpx.Client, model: Transformer, tiny_tokenizer: Tokenizer
) -> None:
    engine = Engine(Decoder(model, 1))
    sampling = GREEDY.replace(max_tokens=NEW)
    for number in range(PROMPTS):
        rng = random.Random(number)
        prompt = [rng.randrange(300) for _ in range(rng.randint(1, 30))]
        found = post(
            llama,
            "/completion",
            prompt=prompt,
            n_predict=NEW,
            temperature=0,
            samplers=["temperature"],
            return_tokens=True,
        )
        assert found["tokens"] == until_end(tiny_tokenizer, engine.generate(prompt, sampling))


def test_the_chat_template_makes_the_same_prompt(
    llama: httpx.Client, tiny_tokenizer: Tokenizer
) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What is it? äh"},
        {"role": "assistant", "content": "It is."},
        {"role": "user", "content": "Why?"},
    ]
    prompt = post(llama, "/apply-template", messages=messages)["prompt"]
    found = post(llama, "/tokenize", content=prompt, add_special=False, parse_special=True)
    assert found["tokens"] == encode_prompt(tiny_tokenizer, messages)
