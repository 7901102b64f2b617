"""Fixtures: a server in this process, with small random models or scripted decoders; a browser."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from chat_page import FixedAnswerDecoder, ToyChat

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.serve.app import ServerLimits, create_app
from firstwords.serve.model_pool import LoadedModel
from firstwords.serve.model_worker import ModelWorker
from firstwords.serve.server import server_config
from firstwords.tokenizer.bpe import Tokenizer

TIMEOUT = 240.0  # seconds to wait for what takes under one on an idle machine
TOO_WIDE = """[...document.querySelectorAll("body *")]
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
  .map((node) => node.outerHTML.slice(0, 100))"""
MakeModel = Callable[..., Transformer]


class FakeModelPool:
    """The interface of `ModelPool`, for models without a run on disk."""

    def __init__(self, loaded: dict[str, LoadedModel]) -> None:
        self._loaded = loaded
        self.assistant_name: str | None = None
        self.available = {
            name: SimpleNamespace(
                name=name,
                run=SimpleNamespace(
                    name=name.rpartition("-")[0],
                    recipe=SimpleNamespace(
                        stage=lambda stage: SimpleNamespace(steps=2),
                        model=loaded[name].model.config,
                    ),
                    assistant_name=self.name_at,
                ),
                stage=name.rpartition("-")[2],
                step=1,
                created=1,
                size=1,
            )
            for name in loaded
        }
        self.default = next(iter(loaded))

    def name_at(self, stage: str) -> str | None:
        return None if stage == "pretrain" else self.assistant_name

    def refresh(self) -> None:
        pass

    def load(self, name: str) -> LoadedModel:
        return self._loaded[name]

    def active_requests(self) -> dict[str, int]:
        return {name: loaded.worker.n_active for name, loaded in self._loaded.items()}

    def close(self) -> None:
        for loaded in self._loaded.values():
            loaded.worker.close()


class RunningServer:
    """A server in a thread, on a free port."""

    def __init__(self, models: Any, limits: ServerLimits, find_runs: Callable[[], Any]) -> None:
        config = server_config(create_app(models, limits, find_runs))
        config.port = 0
        self.models, self.server = models, uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=TIMEOUT)

    def close(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(TIMEOUT)


@pytest.fixture(scope="session")
def wide_model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    """A random model with a context of 256 tokens."""
    return random_model(tiny_model.replace(max_seq_len=256))


def start_server(
    model: Transformer,
    tokenizer: Tokenizer,
    limits: ServerLimits | None = None,
    slots: int = 4,
    max_queue: int = 8,
    decoders: dict[str, Any] | None = None,
    models: Any = None,
    find_runs: Callable[[], Any] = list,
) -> RunningServer:
    """Start a server: with `decoders` by name instead of the model's, or with other `models`."""
    if models:
        return RunningServer(models, limits or ServerLimits(), find_runs)
    by_name = decoders or {"toy-sft": Decoder(model, slots), "toy-pretrain": Decoder(model, 1)}
    loaded = {
        name: LoadedModel(
            model, tokenizer, ModelWorker(Engine(decoder), tokenizer, max_queue), step=1, created=1
        )
        for name, decoder in by_name.items()
    }
    return RunningServer(FakeModelPool(loaded), limits or ServerLimits(), find_runs)


@pytest.fixture
def serve(
    wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> Iterator[Callable[..., RunningServer]]:
    """Return `start_server` for a random model. Its servers end with the test."""
    started: list[RunningServer] = []

    def start(*args: Any, **kwargs: Any) -> RunningServer:
        started.append(start_server(wide_model, tiny_tokenizer, *args, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def shared_server(wide_model: Transformer, tiny_tokenizer: Tokenizer) -> Iterator[RunningServer]:
    """A server of a random model that tests share, since they do not change it."""
    server = start_server(wide_model, tiny_tokenizer)
    yield server
    server.close()


@pytest.fixture
def client(shared_server: RunningServer) -> httpx.Client:
    """A client of the shared server."""
    return shared_server.client


@pytest.fixture
def url(shared_server: RunningServer) -> str:
    """The address of the shared server."""
    return shared_server.url


@pytest.fixture(scope="session")
def toy_server(wide_model: Transformer, tiny_tokenizer: Tokenizer) -> Iterator[ToyChat]:
    """A server of two stages with scripted answers, which tests share."""
    sft, base = (FixedAnswerDecoder(tiny_tokenizer, text) for text in ("Hello.", " and on."))
    decoders = {"toy-sft": sft, "toy-pretrain": base}
    server = start_server(wide_model, tiny_tokenizer, decoders=decoders)
    yield ToyChat(server.url, sft, base, server)
    server.close()


@pytest.fixture
def toy(toy_server: ToyChat) -> ToyChat:
    """`toy_server`, with the answers that it begins with."""
    toy_server.sft.say("The old fox went.")
    toy_server.base.say(" and on.")
    return toy_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. While it is open, no other loop of asyncio can run in this thread, so that tests of
    other modules cannot share it."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as session:
        launched = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page in an empty browser profile, with Playwright's options.
    Script errors and requests to other hosts fail the test."""
    contexts: list[Any] = []
    problems: list[str] = []
    local = ("http://127.0.0.1:", "file:")

    def open_new(**options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(TIMEOUT * 1000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(local) else problems.append(r.url))
        return page

    yield open_new
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """A page in an empty browser profile."""
    return open_page()


@pytest.fixture
def check_accessibility() -> Callable[[Any], None]:
    """Return a check that axe finds no problem at all on a page, however small, and that its width
    fits the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def check(page: Any) -> None:
        violations = axe.run(page).response["violations"]
        assert violations == [], [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            raise AssertionError(f"wider than the screen: {page.evaluate(TOO_WIDE)}")

    return check


@pytest.fixture
def find_violations() -> Callable[..., list[Any]]:
    """Return a function that lists all that axe finds in a part of a page, however small."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def find(page: Any, selector: str) -> list[Any]:
        violations = axe.run(page, context=selector).response["violations"]
        return [(v["id"], [node["html"] for node in v["nodes"]]) for v in violations]

    return find
