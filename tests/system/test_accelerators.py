"""Which of PyTorch's functions are called for a device, with a fake that records them: no machine has all of them."""

from typing import Any

import pytest
import torch

from tuneoff.errors import RecipeError
from tuneoff.models.precision import get_float64_device, to_float64
from tuneoff.recipe.loading import load_recipe
from tuneoff.records.record import Memory
from tuneoff.runner.prepare import prepare
from tuneoff.runtime.meter import Meter
from tuneoff.system import accelerators
from tuneoff.system.capacity import get_memory_bytes
from tuneoff.training import rng_state

KINDS = pytest.mark.parametrize("kind", accelerators.KINDS)
NUMBERS = {"max_memory_allocated": 5, "max_memory_reserved": 7, "driver_allocated_memory": 6, "memory_reserved": 8,
           "recommended_max_memory": 9}  # fmt: skip


class Recorder:
    """Stands in for `torch.cuda` and the like."""

    total_memory = 10

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name == "get_device_properties":
                return self
            return torch.tensor([3]) if name == "get_rng_state" else NUMBERS.get(name)

        return call


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(torch, "get_device_module", lambda _: recorder)
    return recorder


@pytest.mark.parametrize(
    ("kind", "calls", "memory"),
    [
        ("cuda", ["empty_cache", "reset_peak_memory_stats", "synchronize", "synchronize", "max_memory_allocated",
                  "max_memory_reserved"], Memory(allocated_bytes=5, reserved_bytes=7)),
        ("xpu", ["empty_cache", "reset_peak_memory_stats", "synchronize", "synchronize", "max_memory_allocated",
                 "max_memory_reserved"], Memory(allocated_bytes=5, reserved_bytes=7)),
        ("mps", ["empty_cache", "synchronize", "synchronize", "driver_allocated_memory"],
         Memory(allocated_bytes=6, reserved_bytes=6)),
        ("cpu", [], None),
    ],
)  # fmt: skip
def test_a_phase_resets_waits_and_reads_the_counters_of_its_device(
    kind: str, calls: list[str], memory: Memory | None, recorder: Recorder
) -> None:
    meter = Meter(torch.device(kind))
    with meter.phase("training"):
        pass
    assert recorder.calls == calls
    peak = meter.get_peak("training")
    assert peak == memory if memory else (peak is not None and peak.resident_bytes)


@KINDS
def test_a_checkpoint_has_the_random_numbers_of_the_device(kind: str, recorder: Recorder) -> None:
    device = torch.device(kind)
    states = rng_state.get_states(device)
    assert states[kind].tolist() == [3]
    rng_state.restore_states(states, device)
    assert recorder.calls == ["get_rng_state", "set_rng_state"]


@KINDS
def test_the_memory_is_that_of_the_device(kind: str, recorder: Recorder) -> None:
    assert get_memory_bytes(torch.device(kind)) == (9 if kind == "mps" else 10)
    assert accelerators.get_reserved_bytes(torch.device(kind)) == (6 if kind == "mps" else 8)


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps", "mtia"])
def test_auto_takes_the_accelerator_that_is_there_if_it_is_known(
    kind: str, recipe_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mtia` is a kind that nothing here knows how to measure."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device(kind))
    monkeypatch.setattr(torch, "get_device_module", lambda _: Recorder())
    monkeypatch.setattr("tuneoff.runner.prepare.resolve_precision", lambda *_: "float32")
    chosen = prepare(load_recipe(recipe_file, ["model.device=auto"])).device
    assert chosen.type == (kind if kind in accelerators.KINDS else "cpu")
    with pytest.raises(RecipeError, match="which this machine does not have"):
        prepare(load_recipe(recipe_file, [f"model.device={'xpu' if kind == 'cuda' else 'cuda'}"]))


def test_a_device_without_float64_adds_up_on_the_cpu() -> None:
    assert get_float64_device(torch.device("mps")) == torch.device("cpu")
    assert get_float64_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert to_float64(torch.ones(2, device="meta")).device.type == "meta"
    assert to_float64(torch.ones(2)).dtype == torch.float64
