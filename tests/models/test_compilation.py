"""Compiled blocks give the gradients of the model's own code, for every method."""

import shutil
from collections.abc import Callable
from functools import partial

import pytest
import torch

from tests.conftest import ARCHITECTURES
from tests.training.tiny_training import RunTraining, get_losses, load_rows, run_training, text
from tuneoff.errors import RecipeError
from tuneoff.methods import METHODS, Method
from tuneoff.models.compilation import compile_blocks, require_compiler
from tuneoff.models.language_model import LanguageModel
from tuneoff.training import loop
from tuneoff.training.trainer import Trainer

__all__ = ["load_rows", "run_training", "text"]  # fixtures
Load = Callable[[str], LanguageModel]
NEEDED = {"peft": {"peft_type": "VERA"}, "lora": {"dropout": 0.3}, "last-blocks": {"blocks": 1}}
TRAINING_BLOCKS = [m for m in METHODS.values() if m.trains and m.name != "last-layer"]
WITH_PADDING, WITHOUT = (3, 15, 4), (2, 12, 0)  # rows, length, and how much of the first row is padding
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="PyTorch compiles for a CPU with g++")


@pytest.fixture
def only_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are traced but not compiled to machine code, which takes half a minute each."""
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


def compute_gradients(model: LanguageModel, rows: int, length: int, padding: int) -> list[torch.Tensor]:
    tokens_BT = 2 + torch.arange(rows * length).reshape(rows, length)
    attention_BT = torch.ones_like(tokens_BT).bool()
    attention_BT[0, length - padding :] = False
    scored_BT = attention_BT & (torch.arange(length) > 3)
    torch.manual_seed(length)
    model.zero_grad()
    model(tokens_BT, attention_BT, scored_BT).sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.requires_grad and p.grad is not None]


def count_programs() -> int:
    """Return how many programs were compiled so far."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def require_equal_gradients(model: LanguageModel, *shapes: tuple[int, int, int]) -> None:
    before = count_programs()
    for shape in shapes:
        own = compute_gradients(model, *shape)
        with compile_blocks(model):
            compiled = compute_gradients(model, *shape)
        assert len(own) == len(compiled) > 0
        for a, b in zip(own, compiled, strict=True):
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
    assert count_programs() > before


@pytest.mark.slow
@pytest.mark.usefixtures("only_traced")
@pytest.mark.parametrize("method", TRAINING_BLOCKS, ids=lambda method: method.name)
def test_a_compiled_block_gives_the_gradients_of_the_models_own_code(method: type[Method], load_tiny: Load) -> None:
    architecture = "gpt_neo" if method.name == "bitfit" else "llama"
    read = method.read(NEEDED.get(method.name, {}))
    torch.manual_seed(0)
    require_equal_gradients(read.apply(load_tiny(architecture)).train(), WITH_PADDING)


@pytest.mark.slow
@pytest.mark.usefixtures("only_traced")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_can_be_compiled(architecture: str, load_tiny: Load) -> None:
    require_equal_gradients(METHODS["lora"].read({}).apply(load_tiny(architecture)).train(), WITHOUT, WITH_PADDING)


@pytest.mark.slow
@needs_compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, in its compiler
def test_machine_code_gives_the_gradients_of_the_models_own_code(load_tiny: Load) -> None:
    torch.compiler.reset()
    require_equal_gradients(METHODS["lora"].read({"dropout": 0.3}).apply(load_tiny("gpt_neo")).train(), WITH_PADDING)


@pytest.mark.usefixtures("only_traced")
def test_a_training_runs_compiled_and_leaves_the_model_as_it_was(
    run_training: RunTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after_dry_run, dry_run = count_programs(), [], loop.dry_run

    def counted(trainer: Trainer) -> None:
        dry_run(trainer)
        after_dry_run.append(count_programs())

    monkeypatch.setattr(loop, "dry_run", counted)
    model, training = run_training(compile=True)
    assert [count_programs()] == after_dry_run, "some programs were compiled during the training"
    assert count_programs() > before
    for compiled, own in zip(get_losses(training)[1:], get_losses(run_training()[1])[1:], strict=True):
        assert compiled == pytest.approx(own, rel=1e-5)
    assert not any("forward" in vars(block) for block in model.blocks)


def test_without_a_compiler_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    with pytest.raises(RecipeError, match=r"g\+\+ and Python's headers"):
        require_compiler(torch.device("cpu"))
