"""A training on two devices, here two processes on the CPU, equals one on one device to rounding."""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.conftest import save_rows
from tests.training.scripted_follower import SCRIPT
from tests.training.tiny_training import find_start, get_losses, stop_at
from tuneoff.config.data import FileText
from tuneoff.config.model import ModelOptions
from tuneoff.config.training import TrainingOptions
from tuneoff.data import TextData, load_text
from tuneoff.errors import OutOfMemoryError, RunError
from tuneoff.methods import METHODS, Method
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.precision import Precision, get_dtype, hold_for_training
from tuneoff.models.sources import find_source
from tuneoff.optimizers import OPTIMIZERS
from tuneoff.runtime import followers as followers_module
from tuneoff.runtime.context import create_context
from tuneoff.runtime.followers import Followers
from tuneoff.runtime.meter import get_peak_resident_bytes
from tuneoff.runtime.progress import OnProgress, Progress, ignore_progress
from tuneoff.system.interrupts import Stopped
from tuneoff.training import trainer as trainer_module
from tuneoff.training.checkpoint import Checkpoint, CheckpointWriter, load_checkpoint, read_checkpoint
from tuneoff.training.gradients import seed_step
from tuneoff.training.loop import TrainingResult, train
from tuneoff.training.passes import Passes
from tuneoff.training.sharding import get_part
from tuneoff.training.shards import Shards
from tuneoff.training.spec import TrainingSpec

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).parents[2]
ROUNDING = {"rel": 2e-5, "abs": 2e-6}
METHODS_TO_TRAIN: dict[str, Method] = {
    "full": METHODS["full"].read({"learning_rate": 1e-3}),
    "lora": METHODS["lora"].read({"learning_rate": 1e-2}),
    "soft-prompt": METHODS["soft-prompt"].read({"tokens": 4}),
    "lisa": METHODS["lisa"].read({"blocks": 1, "steps": 1}),  # whose optimizer says what needs a gradient in a step
    "corda": METHODS["corda"].read({"learning_rate": 1e-3}),  # which changes frozen weights before the first step
}

WAYS = [*((name, False) for name in METHODS_TO_TRAIN), *((name, True) for name in ("full", "lora", "soft-prompt"))]


@dataclass
class Lab:
    """Trains a tiny Llama on one or two devices.

    Args:
        script: what the follower does in each pass; see `scripted_follower`.
    """

    followers: Followers
    options: ModelOptions
    text: TextData
    script: Path

    def train(
        self, method: Method, devices: int, on_progress: OnProgress = ignore_progress,
        resume_from: Checkpoint | None = None, checkpoint_writer: CheckpointWriter | None = None,
        precision: Precision = "float32", **options: Any,
    ) -> tuple[LanguageModel, TrainingResult]:  # fmt: skip
        followers = self.followers if devices > 1 else Followers()
        followers.in_step = options.get("shard", False)
        if devices > 1:
            followers.send("build", describe_build(method, self.options) | {"precision": precision})
        torch.manual_seed(0)
        optimizer = OPTIMIZERS[method.optimizer]
        model = hold_for_training(method.apply(load(self.options)), get_dtype(precision))
        optimizer.hold(model)
        spec = TrainingSpec(
            text=self.text,
            options=TrainingOptions(**{"epochs": 2, "batch_size": 7, "devices": devices, **options}),
            learning_rate=method.learning_rate,
            weight_decay=method.weight_decay,
            optimizer=optimizer,
            loss_on="target",
            evaluation_batch_size=2,
            seed=0,
        )
        context = create_context(CPU, precision, on_progress, followers)
        start_seconds = find_start(method, model, spec, context)
        return model, train(
            model, spec, context, parameter_groups=method.parameter_groups(model), start_seconds=start_seconds,
            resume_from=resume_from, checkpoint_writer=checkpoint_writer,
        )  # fmt: skip


def load(options: ModelOptions) -> LanguageModel:
    source = find_source(options)
    return load_model(source, options, load_tokenizer(source, options))


def describe_build(method: Method, options: ModelOptions) -> dict[str, Any]:
    return {
        "model": options.model_dump(), "folder": options.name, "known_as": "tiny", "fingerprint": "", "seed": 1,
        "method": method.name, "hyperparameters": method.model_dump(mode="json"), "device": "cpu", "threads": 1,
    }  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, model_folder: Callable[[str], Path]) -> Iterator[Lab]:
    """Two devices that are started once. With eight rows in steps of seven, the last step has none for the second."""
    folder = tmp_path_factory.mktemp("devices")
    save_rows(folder / "text.jsonl")
    options = FileText.read({
        "source": "jsonl", "files": str(folder / "text.jsonl"), "sizes": {"validation": 2, "test": 2},
        "max_tokens": 64, "max_target_tokens": 24,
    })  # fmt: skip
    model = ModelOptions(name=str(model_folder("llama")))
    text = load_text(options, load_tokenizer(find_source(model), model))
    script, followers = folder / "script", Followers(2)
    script.write_text("")
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(followers_module, "MODULE", "tests.training.scripted_follower")
        monkeypatch.setenv("PYTHONPATH", paths)
        monkeypatch.setenv(SCRIPT, str(script))
        yield Lab(followers, model, text, script)
        followers.close()


def list_numbers(result: TrainingResult) -> list[float]:
    return [loss for losses in get_losses(result) for loss in losses if loss is not None]


def require_equal_to_rounding(
    one: tuple[LanguageModel, TrainingResult], two: tuple[LanguageModel, TrainingResult]
) -> None:
    assert list_numbers(two[1]) == pytest.approx(list_numbers(one[1]), **ROUNDING)
    for a, b in zip(one[0].parameters(), two[0].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize(("name", "shard"), WAYS, ids=[f"{name}{' divided' * shard}" for name, shard in WAYS])
def test_two_devices_train_as_one_does(lab: Lab, name: str, shard: bool) -> None:
    method = METHODS_TO_TRAIN[name]
    options = {"batch_size": 2, "accumulation": 3} if method.name == "lora" else {}
    one, two = lab.train(method, 1, **options), lab.train(method, 2, shard=shard, **options)
    require_equal_to_rounding(one, two)
    assert [(row.steps, row.target_tokens, row.real_tokens) for row in one[1].curve] == [
        (row.steps, row.target_tokens, row.real_tokens) for row in two[1].curve
    ]
    assert min(list_numbers(two[1])) < list_numbers(two[1])[0], "nothing was learned, so that any error would pass"


def test_two_devices_train_weights_that_are_rounded_at_random_about_as_one_does(lab: Lab) -> None:
    method = METHODS["full"].read({"learning_rate": 1e-3, "optimizer": "adamw-bf16"})
    one, two = (lab.train(method, devices, precision="bf16") for devices in (1, 2))
    assert list_numbers(two[1]) == pytest.approx(list_numbers(one[1]), rel=1e-2)
    assert list_numbers(two[1])[-1] < list_numbers(two[1])[0]
    assert {p.dtype for p in two[0].parameters()} == {torch.float32, torch.bfloat16}


@pytest.mark.parametrize(
    "ways",
    [{1: {}, 2: {}}, pytest.param({1: {}, 2: {"shard": True}}, marks=pytest.mark.slow)],
    ids=["whole", "divided"],
)
def test_a_checkpoint_has_the_same_content_and_is_gone_on_with_by_another_number(
    lab: Lab, ways: dict[int, dict[str, bool]], tmp_path: Path
) -> None:
    """It is written in the middle of the second epoch, by one and by two devices."""
    method, paths = METHODS_TO_TRAIN["lora"], {devices: tmp_path / f"{devices}.safetensors" for devices in ways}
    for devices, path in paths.items():
        with pytest.raises(Stopped):
            lab.train(
                method, devices, stop_at("training", 5), checkpoint_writer=CheckpointWriter(path, "t"), **ways[devices]
            )
    one, two = (load_checkpoint(path, "t") for path in paths.values())
    assert one.steps == two.steps == 3
    assert {name: (t.dtype, t.shape) for name, t in one.tensors.items()} == {
        name: (t.dtype, t.shape) for name, t in two.tensors.items()
    }
    assert one.groups == two.groups
    assert get_training_bytes(two) > get_training_bytes(one) + 10**8, "the second process has torch in its memory too"
    whole = lab.train(method, 1)
    for checkpoint, devices in ((one, 2), (two, 1)):
        require_equal_to_rounding(whole, lab.train(method, devices, resume_from=checkpoint, **ways[devices]))


def get_training_bytes(checkpoint: Checkpoint) -> int:
    return checkpoint.memory["training"].peak_bytes or 0


@pytest.mark.parametrize("shard", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["whole", "divided"])
def test_two_devices_with_dropout_go_on_from_a_checkpoint_to_the_last_bit(
    lab: Lab, shard: bool, tmp_path: Path
) -> None:
    method, path = METHODS["lora"].read({"dropout": 0.5}), tmp_path / "checkpoint.safetensors"
    model, expected = lab.train(method, 2, shard=shard)
    with pytest.raises(Stopped):
        lab.train(method, 2, stop_at("training", 2), checkpoint_writer=CheckpointWriter(path, "t"), shard=shard)
    torch.randn(7)  # other code draws random numbers in between
    resumed, result = lab.train(method, 2, resume_from=read_checkpoint(path, "t"), shard=shard)
    assert get_losses(result) == get_losses(expected)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_each_device_holds_its_part_of_every_tensor_and_of_the_optimizers_state(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def note(passes: Passes, parameters: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> Shards:
        held.append((parameters, optimizer))
        return Shards(passes, parameters, optimizer)

    monkeypatch.setattr(trainer_module, "Shards", note)
    model, _ = lab.train(METHODS_TO_TRAIN["full"], 2, shard=True)
    ((parameters, optimizer),) = held
    whole = sum(p.numel() for p in model.parameters())
    assert sum(get_part(parameter).numel() for parameter in parameters) == pytest.approx(whole / 2, rel=0.02)
    moments = [get_part(state["exp_avg"]).numel() for state in optimizer.state.values()]
    assert sum(moments) == pytest.approx(whole / 2, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("shard", [False, True], ids=["whole", "divided"])
def test_frozen_weights_may_be_bf16_beside_trained_ones_in_float32(lab: Lab, shard: bool) -> None:
    method = METHODS_TO_TRAIN["lora"]
    one, two = lab.train(method, 1, precision="bf16"), lab.train(method, 2, precision="bf16", shard=shard)
    assert list_numbers(two[1]) == pytest.approx(list_numbers(one[1]), rel=3e-3)
    assert {p.dtype for p in two[0].parameters()} == {torch.float32, torch.bfloat16}


@pytest.mark.slow
def test_a_quantised_base_is_trained_as_by_one_device(lab: Lab, quantisable_folder: Callable[[str], Path]) -> None:
    quantised = replace(lab, options=ModelOptions(name=str(quantisable_folder("llama")), quantise="nf4"))
    one, two = (quantised.train(METHODS_TO_TRAIN["lora"], devices) for devices in (1, 2))
    assert list_numbers(two[1]) == pytest.approx(list_numbers(one[1]), **ROUNDING)


@pytest.mark.slow
def test_a_divided_model_computes_activations_again_where_the_options_say_so(lab: Lab) -> None:
    method = METHODS_TO_TRAIN["full"]
    two = lab.train(method, 2, shard=True, gradient_checkpointing="always")
    require_equal_to_rounding(lab.train(method, 1), two)


def test_random_numbers_differ_between_devices_and_steps_and_can_be_drawn_again() -> None:
    drawn = {}
    for seed, step, device in itertools.product(range(2), repeat=3):
        seed_step(seed, step, device)
        drawn[seed, step, device] = torch.rand(1).item()
    assert len(set(drawn.values())) == 8
    seed_step(0, 0, 0)
    assert torch.rand(1).item() == drawn[0, 0, 0]


def test_memory_that_runs_out_on_one_device_makes_the_micro_batch_smaller_on_all(lab: Lab) -> None:
    method = METHODS_TO_TRAIN["lora"]
    lab.script.write_text("out of memory")
    two = lab.train(method, 2)
    lab.script.write_text("")
    assert two[1].micro_batch == 1
    require_equal_to_rounding(lab.train(method, 1), two)


def test_the_memory_limit_is_for_all_processes_together(lab: Lab) -> None:
    limit = int(1.2 * get_peak_resident_bytes())
    lab.train(METHODS_TO_TRAIN["lora"], 1, memory_limit=limit)
    with pytest.raises(OutOfMemoryError):
        lab.train(METHODS_TO_TRAIN["lora"], 2, memory_limit=limit)


def test_a_loss_that_is_no_number_on_one_device_ends_the_training_on_all(lab: Lab) -> None:
    lab.script.write_text("nan")
    _, result = lab.train(METHODS_TO_TRAIN["lora"], 2)
    lab.script.write_text("")
    assert result.diverged == "the training loss was nan in step 1 of epoch 1"


@pytest.mark.slow
def test_an_error_of_one_device_ends_the_training_with_its_message(lab: Lab) -> None:
    lab.script.write_text("error")
    with pytest.raises(RunError, match=r"Device 1 of 2 failed: ValueError: as the test wants it"):
        lab.train(METHODS_TO_TRAIN["lora"], 2)
    lab.script.write_text("")


@pytest.mark.slow
def test_memory_that_runs_out_in_a_pass_of_all_devices_ends_the_training_with_the_cure(lab: Lab) -> None:
    lab.script.write_text("out of memory")
    with pytest.raises(
        RunError, match=r"The 2 devices could not go on together: .*more than one row.*smaller training"
    ):
        lab.train(METHODS_TO_TRAIN["lora"], 2, shard=True)
    lab.script.write_text("")


@pytest.mark.slow
def test_followers_that_somebody_forgot_to_end_make_room_for_others(lab: Lab) -> None:
    lab.followers.ask("rest")
    forgotten = psutil.Process().children()
    assert replace(lab, followers=Followers(2)).train(METHODS_TO_TRAIN["lora"], 2)[1].best_epoch
    assert not any(process.is_running() for process in forgotten)
    assert not lab.followers.is_idle
    assert lab.train(METHODS_TO_TRAIN["lora"], 2)[1].best_epoch


@pytest.mark.slow
def test_a_device_that_dies_ends_the_training_and_the_next_one_has_another(lab: Lab) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.phase == "training" and progress.done == 1 and not killed:
            killed.extend(end_followers())

    with pytest.raises(RunError, match=r"The process of device 1 of 2 ended in the middle of its work: Killed"):
        lab.train(METHODS_TO_TRAIN["lora"], 2, kill)
    assert len(killed) == 1
    assert lab.train(METHODS_TO_TRAIN["lora"], 2)[1].best_epoch


def end_followers() -> list[int]:
    """Kill the followers of this process, and return their ids."""
    found = [child for child in psutil.Process().children() if "tests.training.scripted_follower" in child.cmdline()]
    for process in found:
        process.kill()
    return [process.pid for process in found]
