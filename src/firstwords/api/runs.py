"""Open the runs of this machine and use their models."""

import functools
import html
from typing import Any

import torch
from torch import Tensor

from firstwords.api.conversation import Answer, Conversation
from firstwords.api.displays import Curves, Report, Xray
from firstwords.common import devices
from firstwords.common.errors import UserError
from firstwords.inference.chat import Chat, stream_answer
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.models import load_checkpoint
from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray.checkpoints import load_checkpoints
from firstwords.inspect.xray.inspect_run import InspectRequest, inspect_text
from firstwords.model.size import n_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import STAGES, Stage
from firstwords.runs import registry
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer


class TrainedRun:
    """A run with its models, one of each stage that has a checkpoint.

    `stage` of the methods is "pretrain", "midtrain", "sft" or "rl", by default the latest. Keywords
    such as `temperature`, `top_k`, `max_tokens` and `seed` are the fields of
    `firstwords.inference.sampling.Sampling`. Models are loaded once and stay in memory; while a run
    is trained, open it again to get its newer checkpoints. Methods raise UserError where a stage
    has no checkpoint.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._models: dict[Stage | None, tuple[Transformer, Engine]] = {}

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer: `encode` and `decode`."""
        return load_tokenizer(self.run)

    def model(self, stage: Stage | None = None) -> Transformer:
        """Return the model of a stage, a PyTorch module."""
        return self._load(stage)[0]

    def conversation(self, stage: Stage | None = None, **sampling: Any) -> Conversation:
        """Start a conversation, which remembers what was said."""
        return Conversation(Chat(self._load(stage)[1], self.tokenizer, Sampling(**sampling)))

    def chat(self, text: str, stage: Stage | None = None, **sampling: Any) -> Answer:
        """Return the answer to a single message. Print it, or iterate over its pieces."""
        return self.conversation(stage, **sampling).send(text)

    def generate(self, text: str, stage: Stage | None = None, **sampling: Any) -> Answer:
        """Continue a text, without the form of a conversation. Raises ValueError if the text fills
        the model's context."""
        engine = self._load(stage)[1]
        prompt = [self.tokenizer.pad_id, *self.tokenizer.encode(text)]  # as documents start
        if len(prompt) >= engine.context:
            raise ValueError(f"the text has {len(prompt) - 1} tokens; {engine.context - 2} fit")
        return Answer(stream_answer(engine, self.tokenizer, prompt, Sampling(**sampling)))

    def logits(self, text: str, stage: Stage | None = None) -> Tensor:
        """Return the logits (T, V) of the token that follows each of the T tokens of a text, which
        are an end-of-text token, as before every document, and `tokenizer.encode(text)`."""
        model = self.model(stage)
        ids = [self.tokenizer.pad_id, *self.tokenizer.encode(text)]
        with torch.inference_mode():
            logits_BTV: Tensor = model(torch.tensor([ids], device=model.device))
        return logits_BTV[0].float().cpu()

    def xray(
        self,
        text: str,
        stage: Stage | None = None,
        chat: bool = False,
        generate: int = 0,
        **sampling: Any,
    ) -> Xray:
        """Look inside a model that reads a text: tokens, attention, what each layer would predict,
        loss. With `chat` the text is a user's message; `generate` tokens follow it."""
        models = load_checkpoints(self.run, stage)
        request = InspectRequest(text, chat, generate, Sampling(**sampling))
        return Xray(inspect_text(self.name, models, request))

    @property
    def curves(self) -> Curves:
        """The metrics of training."""
        return Curves(self.run)

    @property
    def report(self) -> Report:
        """The report. Raises UserError if the run is not evaluated."""
        return Report(self.run)

    def _load(self, stage: Stage | None) -> tuple[Transformer, Engine]:
        if stage not in self._models:
            found, checkpoint = self.run.newest_of(stage)
            if found not in self._models:
                devices.configure_torch(self.run.recipe.n_threads)
                model = load_checkpoint(self.run, checkpoint)
                self._models[found] = model, Engine(Decoder(model, slots=1))
            self._models[stage] = self._models[found]
        return self._models[stage]

    @functools.cached_property
    def facts(self) -> dict[str, str]:
        """What one wants to know of a run first: state, model, exam score."""
        recipe = self.run.recipe
        done = [stage for stage in STAGES if self.run.finished(stage)]
        facts = {
            "finished stages": ", ".join(done) or "none",
            "model": f"{n_parameters(recipe.model) / 1e6:.1f} million parameters, "
            f"{recipe.model.n_layer} layers of {recipe.model.n_embd} channels",
            "context": f"{recipe.model.max_seq_len} tokens",
            "created": self.run.manifest.created,
        }
        exam = (
            (self.run.read_evaluation(self.run.recipe.stages[-1]) or {}).get("tasks") or {}
        ).get("exam")
        if exam:
            low, high = exam["ci95"]
            facts["exam"] = f"{exam['score']:.0%} ({low:.0%} to {high:.0%})"
        return facts

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.facts.items()
        )
        return f"<table><caption>Run {html.escape(self.name)}</caption>{rows}</table>"

    def __repr__(self) -> str:
        return f"<run {self.name}: {'; '.join(f'{k} {v}' for k, v in self.facts.items())}>"


def open_run(name: str | None = None) -> TrainedRun:
    """Open a run of this machine, by default the newest. Raises UserError if there is none of that
    name."""
    return TrainedRun(registry.open_run(name))


def list_runs() -> list[TrainedRun]:
    """Return all runs of this machine, the newest first, without those that cannot be read."""
    found = []
    for directory in registry.list_runs():
        try:
            found.append(TrainedRun(registry.open_run_directory(directory)))
        except UserError:
            continue
    return found
