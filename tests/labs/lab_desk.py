"""A lab's folder in a test: started, predicted, solved, or with a mistake."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from firstwords.labs.catalog import LABS
from firstwords.labs.checking import Comparison, LabCheck
from firstwords.labs.folder import PREDICTION, LabFolder, start_lab
from firstwords.labs.lab import Lab, LabFinding, LabSettings

SOLUTIONS = Path(__file__).parent / "solutions"
SHORT = 0.02  # effort of experiments whose results do not matter


def lab_named(name: str) -> Lab:
    return next(lab for lab in LABS if lab.name == name)


def count_by_hand(config: dict[str, Any]) -> dict[str, int]:
    """The answers of lab 6 by the formulas that a learner uses."""
    c, layers, hidden = config["n_embd"], config["n_layer"], config["n_hidden"]
    q, kv = config["n_head"] * config["head_dim"], config["n_kv_head"] * config["head_dim"]
    attention, mlp, head = c * q + c * kv + c * kv + q * c, 3 * c * hidden, c * config["vocab_size"]
    norms = layers * (c + c + config["head_dim"] + config["head_dim"]) + c
    products = layers * (attention + mlp) + head
    row = config["max_seq_len"]
    return {
        "embedding": head,
        "attention_per_layer": attention,
        "mlp_per_layer": mlp,
        "norms": norms,
        "head": head,
        "total": products + head + norms,
        "matmul_parameters": products,
        "training_flops_per_token": 6 * products + 6 * layers * q * row,
        "training_flops_per_token_half_row": 6 * products + 3 * layers * q * row,
        "optimizer_state_bytes": 4 * (layers * (attention + mlp) + 2 * (2 * head + norms)),
    }


class LabDesk:
    """The folder `lab-N` of a lab in `root`, with the learner's steps as methods."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.lab, self.path = lab, root / f"lab-{lab.number}"
        start_lab(lab, self.path)

    def predict(self) -> "LabDesk":
        path = self.path / PREDICTION
        path.write_text(re.sub(r'= ""$', '= "about seven"', path.read_text(), flags=re.MULTILINE))
        return self

    def solve(self) -> "LabDesk":
        if self.lab.name == "by_hand":
            config = json.loads((self.path / "config.json").read_text())
            (self.path / "answers.json").write_text(json.dumps(count_by_hand(config)))
        else:
            shutil.copytree(SOLUTIONS / self.lab.name, self.path, dirs_exist_ok=True)
        return self

    def change(self, file: str, before: str, after: str) -> "LabDesk":
        text = (self.path / file).read_text(encoding="utf-8")
        assert before in text, f"{before} is not in {file}"
        (self.path / file).write_text(text.replace(before, after), encoding="utf-8")
        return self

    def write(self, file: str, text: str) -> "LabDesk":
        (self.path / file).write_text(text, encoding="utf-8")
        return self

    def exercise(self) -> list[LabFinding]:
        """Return the findings of the exercise alone."""
        sections = LabCheck(LabFolder(self.lab, self.path), LabSettings()).sections()
        _, exercise = (list(section.items) for section, _ in zip(sections, range(2), strict=False))
        return [item for item in exercise if isinstance(item, LabFinding)]

    def experiment(self, effort: float) -> list[LabFinding | Comparison]:
        """Return the items of the experiment; none if prediction or exercise fails."""
        check = LabCheck(LabFolder(self.lab, self.path), LabSettings(effort=effort))
        items = [(section.title, item) for section in check.sections() for item in section.items]
        return [item for title, item in items if title == "experiment"]
