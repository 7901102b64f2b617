"""The GPU's path on a machine without one. PyTorch has two kinds of tensors with a device and no
values, and both refuse to mix devices as a real GPU would: "meta" ones, and fake ones of CUDA, with
which less works but which the optimizer's kernels take."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from end_to_end import Bench
from torch._subclasses.fake_tensor import FakeTensorMode

from firstwords import machine, measure, pipeline
from firstwords.distributed import Exchange, World
from firstwords.errors import UserError
from firstwords.inference.decoder import Decoder
from firstwords.measure import Settings
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import Recipe
from firstwords.training import accumulate, loss_function


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Transformer:
    """A model that is not where its data is."""

    def all_places(tensor: torch.Tensor) -> torch.Tensor:
        """Shapes may not depend on values, which nothing has: every place has a target."""
        return torch.arange(tensor.numel(), device=tensor.device)[:, None]

    monkeypatch.setattr(torch.Tensor, "nonzero", all_places)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    return Transformer(measure.trial(1).model).to("meta")


def test_two_devices_do_not_mix() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.empty(4, device="meta") + torch.empty(4)


def test_a_loss_is_computed_where_the_model_is(elsewhere: Transformer) -> None:
    loss = loss_function(elsewhere, measure.trial(1))
    x_BT = torch.zeros(2, 16, dtype=torch.long)
    part = loss(x_BT, x_BT)
    assert part.device.type == "meta"
    part.backward()
    assert all(p.grad is not None and p.grad.is_meta for p in elsewhere.parameters())


def test_tokens_are_decoded_where_the_model_is(elsewhere: Transformer) -> None:
    decoder = Decoder(elsewhere.eval(), slots=2)
    decoder.read([0, 1], [[1, 2, 3], [4, 5]])
    decoder.read([1], [[6]], start=2)
    assert decoder.next_logits([0, 1], [6, 7], [3, 3]).device.type == "meta"
    assert decoder.next_logits([1], [7], [4]).device.type == "meta"


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CUDA. A move to it asks for a driver, so it is replaced."""
    move = torch.Tensor.to

    def to(tensor: torch.Tensor, *where: Any, **options: Any) -> torch.Tensor:
        if isinstance(where[0], (str, torch.device)):
            return torch.empty(tensor.shape, dtype=tensor.dtype, device=where[0])
        return move(tensor, *where, **options)

    monkeypatch.setattr(torch.Tensor, "to", to)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        yield


def on_cuda(recipe: Recipe) -> Transformer:
    with torch.device("meta"):
        model = Transformer(recipe.model)
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            setattr(module, name, torch.nn.Parameter(torch.empty(weight.shape, device="cuda")))
    return model


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_optimizer_works_where_the_weights_are(dtype: torch.dtype) -> None:
    recipe = measure.trial(1)
    model = on_cuda(recipe)
    optimizer = Optimizer(model, recipe.optimizer, dtype)
    state = {"steps": torch.tensor(3)}
    for name, parameter in model.named_parameters():
        for key in optimizer.remembers(name) or ("step", "exp_avg", "exp_avg_sq"):
            state[f"{name}.{key}"] = torch.empty(() if key == "step" else parameter.shape)
    optimizer.steps = 3
    optimizer.load_state({**state, "steps": 3})
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    optimizer.step(1.0)
    kept = {name: t for name, t in optimizer.state().items() if name != "steps"}
    assert kept.keys() == state.keys() - {"steps"}
    assert all(tensor.device.type == "cuda" for tensor in kept.values())


def cuda_of(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU {i}")


def test_a_recipe_for_a_gpu_says_where_it_cannot_be_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = measure.gpu_trial(1, "cuda")
    with pytest.raises(UserError, match=r"trains on a GPU \(cuda\).*none here"):
        pipeline.check_device(recipe, World())
    cuda_of(monkeypatch, 4)
    pipeline.check_device(recipe, World(0, 4, 4))
    with pytest.raises(UserError, match="8 processes on this node need as many GPUs, and it has 4"):
        pipeline.check_device(recipe, World(0, 8, 8))
    pipeline.check_device(measure.trial(1), World(0, 8, 8))


def settings_with_gpu(monkeypatch: pytest.MonkeyPatch, gpu_speed: float) -> Settings:
    def speed(recipe: Recipe, seconds: float) -> float:
        if gpu_speed < 0 and recipe.device == "cuda":
            raise RuntimeError("no kernel image is available")
        return gpu_speed if recipe.device == "cuda" else 1000.0

    cuda_of(monkeypatch, 1)
    monkeypatch.setattr(machine, "setup", lambda n_threads: None)
    monkeypatch.setattr(machine, "matmul_gflops", lambda dtype: 100.0)
    monkeypatch.setattr(measure, "tokens_per_second", speed)
    return measure.settings(10.0)


def test_the_gpu_is_used_where_it_trains_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_with_gpu(monkeypatch, 1e6)
    assert (found.device, found.dtype, found.halves) == ("cuda", "bfloat16", 0)
    assert found.tried["cuda"] > 1000


@pytest.mark.parametrize("speed", [1e-3, -1.0])
def test_the_processor_trains_where_the_gpu_is_slow_or_broken(
    monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    assert settings_with_gpu(monkeypatch, speed).device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_learns_as_the_processor_does() -> None:
    losses = {}
    for device in ("cpu", "cuda"):
        recipe = measure.trial(1).model_copy(update={"device": device})
        model = Transformer(recipe.model).init_weights(0).to(device)
        optimizer = Optimizer(model, recipe.optimizer, torch.float32)
        loss, alone = loss_function(model, recipe), Exchange(World(), model)
        x_BT = torch.randint(300, (4, 64), generator=torch.Generator().manual_seed(0))
        losses[device] = []
        for _ in range(5):
            losses[device].append(accumulate(loss, x_BT, x_BT.roll(-1, 1), 4, alone))
            optimizer.step(1.0)
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-2)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_whole_run_on_a_gpu_is_stopped_and_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, device="cuda", dtype="bfloat16", compile=True)
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    shutil.rmtree(max((bench.directory("x") / "checkpoints" / "sft").iterdir()))
    again = bench.firstwords(*bench.train())
    assert again.returncode == 0, again.stderr
