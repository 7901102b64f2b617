"""The pictures of the code tour show the code as it is."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def diagrams() -> ModuleType:
    spec = importlib.util.spec_from_file_location("diagrams", ROOT / "scripts" / "diagrams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["diagrams"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_current(diagrams: ModuleType) -> None:
    for path, svg in diagrams.pictures().items():
        assert path.read_text(encoding="utf-8") == svg, f"run: python scripts/diagrams.py ({path})"


def test_a_training_step_calls_model_optimizer_and_gradient_exchange(diagrams: ModuleType) -> None:
    calls = [call.function for _, call in diagrams.walk(diagrams.record_step())]
    for function in (
        "Tokenizer.encode",
        "BatchSampler.batch",
        "Attention.forward",
        "orthogonalize",
    ):
        assert function in calls, calls
    assert calls.index("Transformer.loss") < calls.index("Optimizer.step")


def test_every_package_is_in_the_import_contract_and_has_a_purpose(diagrams: ModuleType) -> None:
    packages = diagrams.packages()
    assert all(diagrams.purpose(package) for package in packages)
    source = ROOT / "src" / "firstwords"
    existing = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert existing | {"recipe"} == set(packages)
