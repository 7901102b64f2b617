"""A server with a small random model, in this process, and one in which models follow a script."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.serve.app import Limits, create_app
from firstwords.serve.models import Loaded
from firstwords.serve.worker import Worker
from firstwords.tokenizer import Tokenizer

MakeModel = Callable[..., Transformer]


class Served:
    """What the app needs of `Models`, for models that were not trained."""

    def __init__(self, loaded: dict[str, Loaded]) -> None:
        self._loaded = loaded
        self.entries = {
            name: SimpleNamespace(
                name=name,
                run=SimpleNamespace(
                    name=name.rpartition("-")[0],
                    recipe=SimpleNamespace(stage=lambda stage: SimpleNamespace(steps=2)),
                ),
                stage=name.rpartition("-")[2],
                step=1,
                created=1,
            )
            for name in loaded
        }
        self.default = next(iter(loaded))

    def refresh(self) -> None:
        pass

    def load(self, name: str) -> Loaded:
        return self._loaded[name]

    def busy(self) -> dict[str, int]:
        return {name: loaded.worker.accepted for name, loaded in self._loaded.items()}

    def close(self) -> None:
        for loaded in self._loaded.values():
            loaded.worker.close()


class Running:
    """A server on a port of its own."""

    def __init__(self, models: Any, limits: Limits, find_runs: Callable[[], Any]) -> None:
        app = create_app(models, limits, find_runs)
        config = uvicorn.Config(app, port=0, log_level="warning")
        self.models, self.server = models, uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def close(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="session")
def wide_model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    """A random model with a context of 256 tokens."""
    return random_model(tiny_model.model_copy(update={"max_seq_len": 256}))


@pytest.fixture
def serve(wide_model: Transformer, tiny_tokenizer: Tokenizer) -> Iterator[Callable[..., Running]]:
    """Start a server; `decoders` by name instead of the random model's, or other `models`."""
    started: list[Running] = []

    def start(
        limits: Limits | None = None,
        slots: int = 4,
        queue: int = 8,
        decoders: dict[str, Any] | None = None,
        models: Any = None,
        find_runs: Callable[[], Any] = list,
    ) -> Running:
        if models:
            started.append(Running(models, limits or Limits(), find_runs))
            return started[-1]
        found = decoders or {
            "toy-sft": Decoder(wide_model, slots),
            "toy-base": Decoder(wide_model, 1),
        }
        loaded = {
            name: Loaded(
                wide_model, tiny_tokenizer, Worker(Engine(decoder), tiny_tokenizer, queue), 1, 1
            )
            for name, decoder in found.items()
        }
        started.append(Running(Served(loaded), limits or Limits(), find_runs))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A new, empty browser profile; anything on its console that is an error fails the test."""
    context = browser.new_context()
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    ours = ("http://127.0.0.1:", "file:")
    opened.on("request", lambda r: None if r.url.startswith(ours) else wrong.append(r.url))
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture
def nothing_serious() -> Callable[[Any], None]:
    """Whether axe finds nothing serious on a page, and all of its width is on the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def look(page: Any) -> None:
        found = axe.run(page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], [(v["id"], [n["html"] for n in v["nodes"]]) for v in serious]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    return look
