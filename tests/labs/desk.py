"""A learner's desk: the folder of a lab, begun, solved or half solved."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from firstwords.labs import folder as folders
from firstwords.labs.catalog import LABS
from firstwords.labs.checking import Check, Compared
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Lab, Setting

SOLUTIONS = Path(__file__).parent / "solutions"


def lab_named(name: str) -> Lab:
    return next(lab for lab in LABS if lab.name == name)


def by_hand(config: dict[str, Any]) -> dict[str, int]:
    """The answers of lab 6, as a learner counts."""
    c, layers, hidden = config["n_embd"], config["n_layer"], config["n_hidden"]
    q, kv = config["n_head"] * config["head_dim"], config["n_kv_head"] * config["head_dim"]
    attention, mlp, head = c * q + c * kv + c * kv + q * c, 3 * c * hidden, c * config["vocab_size"]
    norms = layers * (c + c + config["head_dim"] + config["head_dim"]) + c
    products = layers * (attention + mlp) + head
    row = config["max_seq_len"]
    return {
        "embedding": head,
        "attention_of_a_layer": attention,
        "mlp_of_a_layer": mlp,
        "norms": norms,
        "head": head,
        "all": products + head + norms,
        "in_products": products,
        "training_flops_per_token": 6 * products + 6 * layers * q * row,
        "training_flops_per_token_of_half_the_row": 6 * products + 3 * layers * q * row,
        "bytes_of_optimizer_state": 4 * (layers * (attention + mlp) + 2 * (2 * head + norms)),
    }


class Desk:
    """A lab's folder `lab-N` below `root`."""

    def __init__(self, lab: Lab, root: Path) -> None:
        self.lab, self.path = lab, root / f"lab-{lab.number}"
        folders.start(lab, self.path)

    def predict(self) -> "Desk":
        path = self.path / folders.PREDICTION
        path.write_text(re.sub(r'= ""$', '= "about seven"', path.read_text(), flags=re.MULTILINE))
        return self

    def solve(self) -> "Desk":
        if self.lab.name == "by_hand":
            config = json.loads((self.path / "config.json").read_text())
            (self.path / "answers.json").write_text(json.dumps(by_hand(config)))
        else:
            shutil.copytree(SOLUTIONS / self.lab.name, self.path, dirs_exist_ok=True)
        return self

    def change(self, file: str, before: str, after: str) -> "Desk":
        text = (self.path / file).read_text(encoding="utf-8")
        assert before in text, f"{before} is not in {file}"
        (self.path / file).write_text(text.replace(before, after), encoding="utf-8")
        return self

    def write(self, file: str, text: str) -> "Desk":
        (self.path / file).write_text(text, encoding="utf-8")
        return self

    def exercise(self) -> list[Finding]:
        check = Check(Folder(self.lab, self.path), Setting())
        _, exercise = (list(part.items) for part, _ in zip(check.parts(), range(2), strict=False))
        return [item for item in exercise if isinstance(item, Finding)]

    def experiment(self, effort: float) -> list[Finding | Compared]:
        check = Check(Folder(self.lab, self.path), Setting(effort=effort))
        return [item for part in check.parts() for item in part.items if part.title == "experiment"]
