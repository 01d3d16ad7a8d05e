"""The first values of methods that find them on the train split."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.training.tiny_training import TrainToRungs, load_rows, stop_at, text, train_to_rungs
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, count_tokens
from tuneoff.data.batches import make_epoch_batches
from tuneoff.methods import METHODS
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.layer_inputs import watch_inputs
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.runtime.context import create_context
from tuneoff.runtime.progress import Progress, ignore_progress
from tuneoff.system.interrupts import Stopped
from tuneoff.training.checkpoint import CheckpointWriter, read_checkpoint
from tuneoff.training.spec import TrainingSpec
from tuneoff.training.start import set_start

__all__ = ["load_rows", "text", "train_to_rungs"]  # fixtures

Load = Callable[[str], LanguageModel]


def make_spec(text: TextData, seed: int = 0) -> TrainingSpec:
    options = TrainingOptions(epochs=1, batch_size=2)
    return TrainingSpec(text=text, options=options, learning_rate=1e-3, weight_decay=0.0, loss_on="target",
                        optimizer=OPTIMIZERS["adamw"], evaluation_batch_size=2, seed=seed)  # fmt: skip


def test_the_rows_are_those_of_the_first_epoch_without_padding_and_no_random_number_is_drawn(
    text: TextData, load_tiny: Load
) -> None:
    model, spec, seen = load_tiny("llama"), make_spec(text, seed=5), list[list[int]]()
    events: list[Progress] = []
    context = create_context(torch.device("cpu"), "float32", events.append)
    embedding = model.base.get_input_embeddings()
    embedding.register_forward_pre_hook(lambda _, tokens: seen.append(tokens[0][0].tolist()))
    before = torch.get_rng_state()
    seconds = set_start(lambda _, read: read(3), model, spec, context)
    batches = make_epoch_batches(count_tokens(text.train), spec.options.effective_batch_size, 5, 1)
    first = [row for batch in batches for row in batch][:3]
    assert seen == [text.train[row]["tokens"] for row in first]
    assert torch.equal(torch.get_rng_state(), before)
    assert [(event.phase, event.done, event.of) for event in events] == [("start", done, 3) for done in range(4)]
    assert seconds == context.meter.get_seconds("training") > 0
    assert context.meter.get_peak("training") is not None


def test_more_rows_than_there_are_read_all_of_train(text: TextData, load_tiny: Load) -> None:
    events: list[Progress] = []
    context = create_context(torch.device("cpu"), "float32", events.append)
    set_start(lambda _, read: read(10**6), load_tiny("llama"), make_spec(text), context)
    assert events[-1].done == len(text.train)


def test_the_seconds_count_once_in_the_first_epoch_also_if_the_training_is_resumed(
    train_to_rungs: TrainToRungs, tmp_path: Path
) -> None:
    path, method = tmp_path / "checkpoint.safetensors", METHODS["eva"].read({})
    with pytest.raises(Stopped):
        train_to_rungs(
            method, (1.0,), stop_at("training", 5), checkpoint_writer=CheckpointWriter(path, "t"), start_seconds=1e6
        )
    _, resumed = train_to_rungs(method, (1.0,), resume_from=read_checkpoint(path, "t"), start_seconds=1e6)
    seconds = [row.train_seconds for row in resumed.curve if row.steps]
    assert 1e6 < seconds[0] < 2e6
    assert max(seconds[1:]) < 1e6


class _Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.idle = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x_BTI: Tensor) -> Tensor:
        result: Tensor = self.c(self.a(x_BTI) + self.b(x_BTI))
        return result


def test_layers_with_the_same_input_are_seen_once_and_in_float32() -> None:
    layers, seen = _Layers(), list[tuple[str, tuple[int, ...], torch.dtype]]()
    with (
        watch_inputs(
            dict(layers.named_children()), lambda name, x: seen.append((name, tuple(x.shape), (x @ x.T).dtype))
        ) as seen_as,
        torch.autocast("cpu", torch.bfloat16),
        torch.no_grad(),
    ):
        layers(torch.ones(2, 3, 4))
        layers(torch.ones(1, 5, 4))
    assert seen_as == {"a": "a", "b": "a", "c": "c"}
    assert seen == [(name, (n, 4), torch.float32) for n in (6, 5) for name in ("a", "c")]
    with torch.no_grad():
        layers(torch.ones(1, 5, 4))
    assert len(seen) == 4


@pytest.mark.parametrize("name", ["eva", "corda"])
def test_the_same_seed_gives_the_same_first_values_and_another_one_does_not(
    name: str, text: TextData, load_tiny: Load
) -> None:
    def find(seed: int) -> Tensor:
        torch.manual_seed(0)
        method = METHODS[name].read({"rank": 4, "rows": 3})
        model = method.apply(load_tiny("llama"))
        context = create_context(torch.device("cpu"), "float32", ignore_progress)
        set_start(method.set_start, model, make_spec(text, seed), context)
        found: Tensor = model.base.model.layers[0].mlp.up_proj.lora_A["default"].weight.detach()
        return found

    assert torch.equal(find(0), find(0))
    assert not torch.equal(find(0), find(1))
