"""The GPU's code path on a machine without one. PyTorch has two kinds of tensors with a device and
no values, and both refuse to mix devices as a real GPU would: "meta" tensors, and fake CUDA
tensors, which support fewer operations but work with the optimizer's kernels."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from end_to_end import Bench
from torch._subclasses.fake_tensor import FakeTensorMode

from firstwords.common import devices
from firstwords.common.errors import UserError
from firstwords.data.dataloader import single_sequences
from firstwords.inference.decoder import Decoder
from firstwords.model.transformer import Transformer
from firstwords.pipeline.request import check_device
from firstwords.planning import autotune
from firstwords.planning.autotune import MachineSettings
from firstwords.recipe import Recipe
from firstwords.training.distributed import World
from firstwords.training.loop import accumulate
from firstwords.training.optimizer import Optimizer
from firstwords.training.setup import build, loss_function


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Transformer:
    """A model on another device than its data."""

    def all_positions(tensor: torch.Tensor) -> torch.Tensor:
        """Shapes must not depend on values, which do not exist: every position has a target."""
        return torch.arange(tensor.numel(), device=tensor.device)[:, None]

    monkeypatch.setattr(torch.Tensor, "nonzero", all_positions)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    return Transformer(autotune.trial_recipe(1).model).to("meta")


def test_two_devices_do_not_mix() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.empty(4, device="meta") + torch.empty(4)


def test_the_loss_is_computed_on_the_models_device(elsewhere: Transformer) -> None:
    loss = loss_function(elsewhere, autotune.trial_recipe(1))
    x_BT = torch.zeros(2, 16, dtype=torch.long)
    part = loss(*single_sequences(x_BT, x_BT))
    assert part.device.type == "meta"
    part.backward()
    assert all(p.grad is not None and p.grad.is_meta for p in elsewhere.parameters())


def test_decoding_runs_on_the_models_device(elsewhere: Transformer) -> None:
    decoder = Decoder(elsewhere.eval(), slots=2)
    decoder.prefill([0, 1], [[1, 2, 3], [4, 5]])
    decoder.prefill([1], [[6]], start=2)
    assert decoder.decode([0, 1], [6, 7], [3, 3]).device.type == "meta"
    assert decoder.decode([1], [7], [4]).device.type == "meta"


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fake CUDA. Moving a tensor there would need a driver, so `to` is replaced."""
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
def test_the_optimizer_works_on_the_weights_device(dtype: torch.dtype) -> None:
    recipe = autotune.trial_recipe(1)
    model = on_cuda(recipe)
    optimizer = Optimizer(model, recipe.optimizer, dtype)
    optimizer.steps = 3
    state = {"steps": torch.tensor(3)}
    for name, parameter in model.named_parameters():
        for key in optimizer.state_keys(name):
            state[f"{name}.{key}"] = torch.empty(parameter.shape)
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


def test_a_gpu_recipe_is_refused_without_enough_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = autotune.gpu_trial_recipe(1, "cuda")
    with pytest.raises(UserError, match=r"trains on a GPU \(cuda\).*finds none"):
        check_device(recipe, World())
    cuda_of(monkeypatch, 4)
    check_device(recipe, World(0, 4, 4))
    with pytest.raises(UserError, match="8 processes on this node need as many GPUs, but it has 4"):
        check_device(recipe, World(0, 8, 8))
    check_device(autotune.trial_recipe(1), World(0, 8, 8))


def settings_with_gpu(monkeypatch: pytest.MonkeyPatch, gpu_speed: float) -> MachineSettings:
    def speed(recipe: Recipe, seconds: float) -> float:
        if gpu_speed < 0 and recipe.device == "cuda":
            raise RuntimeError("no kernel image is available")
        return gpu_speed if recipe.device == "cuda" else 1000.0

    cuda_of(monkeypatch, 1)
    monkeypatch.setattr(devices, "configure_torch", lambda n_threads: None)
    monkeypatch.setattr(devices, "matmul_gflops", lambda dtype: 100.0)
    monkeypatch.setattr(autotune, "tokens_per_second", speed)
    return autotune.machine_settings(10.0)


def test_the_gpu_is_used_if_it_trains_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_with_gpu(monkeypatch, 1e6)
    assert (found.device, found.dtype, found.batch_halvings) == ("cuda", "bfloat16", 0)
    assert found.speedups["cuda"] > 1000


@pytest.mark.parametrize("speed", [1e-3, -1.0])
def test_the_cpu_trains_if_the_gpu_is_slow_or_broken(
    monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    assert settings_with_gpu(monkeypatch, speed).device == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_has_the_same_losses_as_the_cpu() -> None:
    losses = {}
    for device in ("cpu", "cuda"):
        recipe = autotune.trial_recipe(1).replace(device=device)
        state = build(recipe)
        x_BT = torch.randint(300, (4, 64), generator=torch.Generator().manual_seed(0))
        losses[device] = []
        for _ in range(5):
            batch = single_sequences(x_BT, x_BT.roll(-1, 1))
            losses[device].append(accumulate(state.loss, state.sync, batch, 4))
            state.optimizer.step(1.0)
            state.sync.zero_grad()
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-2)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_run_on_a_gpu_resumes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, device="cuda", dtype="bfloat16", compile=True)
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    shutil.rmtree(max((bench.directory("x") / "checkpoints" / "sft").iterdir()))
    again = bench.firstwords(*bench.train())
    assert again.returncode == 0, again.stderr
