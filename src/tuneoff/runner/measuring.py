"""Measure what the models of a run cost when they are served."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tuneoff.errors import ModelError, RunError
from tuneoff.evaluation.latency import time_generation
from tuneoff.methods import get_method
from tuneoff.methods.soft_prompt import SoftPrompt
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.loading import load_model, load_tokenizer
from tuneoff.models.merged_swap import MergedSwap, Updates, read_low_rank_updates
from tuneoff.models.precision import get_dtype, hold_for_inference
from tuneoff.models.rope import count_positions
from tuneoff.models.same_network import is_same_network
from tuneoff.models.sources import find_source
from tuneoff.records.measured import Form, Measured, MixedTimes, PromptTimes, ServedTimes, Spread, SwapTimes
from tuneoff.records.record import Record
from tuneoff.records.trial import Setting
from tuneoff.runner.trained_model import load_tuned
from tuneoff.runs import RunDirectory
from tuneoff.system.environment import describe_environment

Report = Callable[[str], None]
SWAPS = 20  # of which the median is taken


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How much is measured."""

    batches: tuple[int, ...] = (1, 8, 32)
    prompt_tokens: int = 128
    new_tokens: int = 16
    repeats: int = 5
    prompt_lengths: tuple[int, ...] = (8, 32, 128)  # of soft prompts


def measure(
    directory: RunDirectory,
    records: Sequence[Record],
    options: MeasureOptions,
    report: Report,
    measure_mixed: Callable[[Sequence[int]], MixedTimes | None],
) -> Measured:
    """Measure the models of some trials of one setting, each against the base model.

    In each repeat the models take turns, in an order that is reversed every time, so that other load on the machine
    affects all. The first repeat is not counted.

    Args:
        measure_mixed: measures batches of several models with this prompt.

    Raises:
        ModelError, RunError: a model cannot be loaded, or the prompts do not fit its context.
    """
    setting = records[0].trial.setting
    base = hold_for_inference(load_base(setting), get_dtype(setting.precision))
    context = get_context(base)
    longest = options.prompt_tokens + options.new_tokens + 1
    if longest > context:
        raise RunError(f"{longest} tokens of prompt and answer do not fit into the model's context of {context}.")
    tokens_BT = make_prompts(records[0], base.tokenizer, max(options.batches), options.prompt_tokens)
    times = [
        found
        for record in records
        if get_method(record.trial.method).trains
        for found in _measure_forms(directory, record, base, tokens_BT, options, report)
    ]
    lengths = [length for length in options.prompt_lengths if length + longest <= context]
    report("swaps of merged LoRA")
    swap = measure_swaps(directory, records)
    report("all models in one batch")
    mixed = measure_mixed(tokens_BT[0].tolist())
    prompts = [measure_soft_prompt(base, length, tokens_BT[:1], options, report) for length in lengths]
    return Measured(
        trials={record.trial.label: record.trial.id for record in records},
        environment=describe_environment(),
        precision=setting.precision,
        prompt_tokens=options.prompt_tokens,
        new_tokens=options.new_tokens,
        repeats=options.repeats,
        times=tuple(times),
        swap=swap,
        mixed=mixed,
        prompts=tuple(prompts),
        base_bytes=count_bytes(base),
        own_bytes={record.trial.label: _count_own_bytes(record, base) for record in records},
    )


def load_base(setting: Setting) -> LanguageModel:
    """Load the base model of a setting."""
    source = find_source(setting.model)
    return load_model(source, setting.model, load_tokenizer(source, setting.model))


def get_context(model: LanguageModel) -> int:
    """Return how many positions the model has."""
    return count_positions(model.base.config) or 2**31


def make_prompts(record: Record, tokenizer: object, rows: int, length: int) -> Tensor:
    """Return prompts of equal length from the test sources of a run, (rows, length)."""
    texts = " ".join(prediction.source for prediction in record.predictions)
    tokens: list[int] = tokenizer(texts, verbose=False)["input_ids"]  # type: ignore[operator]
    repeated = tokens * (rows * length // len(tokens) + 1)
    return torch.tensor(repeated[: rows * length]).view(rows, length)


def count_bytes(model: LanguageModel) -> int:
    """Return the memory of a model's weights, a shared one counted once."""
    return sum(parameter.nbytes for parameter in model.parameters())


def _count_own_bytes(record: Record, base: LanguageModel) -> int:
    trained = record.costs.trainable_parameters if record.costs else 0
    return trained * next(base.parameters()).element_size()


def _measure_forms(
    directory: RunDirectory,
    record: Record,
    base: LanguageModel,
    tokens_BT: Tensor,
    options: MeasureOptions,
    report: Report,
) -> Iterator[ServedTimes]:
    models = load_forms(directory, record, base)
    for batch in options.batches:
        report(f"{record.trial.label}: {' and '.join(models)}, batch {batch}")
        named = {"base": base, **{str(form): model for form, model in models.items()}}
        timed = time_in_turns(named, tokens_BT[:batch], options)
        for form in models:
            prefill, token = timed[form].prefill_ms, timed[form].token_ms
            yield ServedTimes(
                label=record.trial.label,
                form=form,
                batch=batch,
                prefill_ms=Spread.of(prefill),
                token_ms=Spread.of(token),
                prefill_ratio=_divide(prefill, timed["base"].prefill_ms),
                token_ratio=_divide(token, timed["base"].token_ms),
            )


def load_forms(directory: RunDirectory, record: Record, base: LanguageModel) -> dict[Form, LanguageModel]:
    """Load a trained model beside the base model's weights and, where it can be merged, in them."""
    trial = record.trial
    dtype = get_dtype(trial.setting.precision)
    tuned = load_tuned(directory, record)[1]
    merged = get_method(trial.method).read(trial.hyperparameters).merge(copy.deepcopy(tuned))
    models = {form: hold_for_inference(m, dtype) for form, m in (("adapter", tuned), ("merged", merged))}
    kept: dict[Form, LanguageModel] = {}
    if not is_same_network(tuned, base):  # else it has no other form than the weights themselves
        kept["adapter"] = models["adapter"]
    if is_same_network(merged, base):
        kept["merged"] = models["merged"]
    return kept


@dataclass(frozen=True, kw_only=True)
class Times:
    """The milliseconds of one model, of each repeat."""

    prefill_ms: list[float]
    token_ms: list[float]


def time_in_turns(models: Mapping[str, LanguageModel], tokens_BT: Tensor, options: MeasureOptions) -> dict[str, Times]:
    """Time the models turn by turn on the same prompts."""
    times = {name: Times(prefill_ms=[], token_ms=[]) for name in models}
    prompt = (tokens_BT, torch.ones_like(tokens_BT))
    for repeat in range(options.repeats + 1):
        for name in list(models)[:: -1 if repeat % 2 else 1]:
            device = models[name].base.device
            prefill = time_generation(models[name], prompt, device, tokens=1)
            whole = time_generation(models[name], prompt, device, tokens=1 + options.new_tokens)
            if repeat:
                times[name].prefill_ms.append(prefill)
                times[name].token_ms.append((whole - prefill) / options.new_tokens)
    return times


def _divide(values: Sequence[float], base: Sequence[float]) -> Spread:
    return Spread.of([value / other for value, other in zip(values, base, strict=True)])


def measure_soft_prompt(
    base: LanguageModel, length: int, tokens_1T: Tensor, options: MeasureOptions, report: Report
) -> PromptTimes:
    """Measure an untrained soft prompt: what it costs does not depend on its values."""
    report(f"a soft prompt of {length} tokens")
    tuned = SoftPrompt.read({"tokens": length}).apply(copy.deepcopy(base))
    prompted = hold_for_inference(tuned, next(base.parameters()).dtype)
    timed = time_in_turns({"base": base, "prompted": prompted}, tokens_1T, options)
    return PromptTimes(
        tokens=length,
        context_share=length / get_context(base),
        prefill_ratio=_divide(timed["prompted"].prefill_ms, timed["base"].prefill_ms),
        token_ratio=_divide(timed["prompted"].token_ms, timed["base"].token_ms),
    )


def measure_swaps(directory: RunDirectory, records: Sequence[Record], swaps: int = SWAPS) -> SwapTimes | None:
    """Measure swaps between two plain LoRA in one set of weights; None if the run has no two."""
    loras = _read_loras(directory, records)
    if len(loras) < 2 or records[0].trial.setting.model.quantise:  # nothing can be added to packed weights
        return None
    labels = tuple(loras)[:2]
    setting = records[0].trial.setting
    dtype = get_dtype(setting.precision)
    reload_ms = [_time(_load_merged, setting, loras[label]) for label in labels]
    network = hold_for_inference(load_base(setting), dtype).network
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    times, drifts = {}, {}
    for keeps in (True, False):
        swap = MergedSwap(network, loras.__getitem__, keep_original=keeps)
        swap.swap_to(labels[0])
        steps = [labels[(number + 1) % 2] for number in range(swaps)]
        times[keeps] = [_time(swap.swap_to, label) for label in steps]
        swap.swap_to(None)
        changed = {layer + ".weight" for updates in loras.values() for layer in updates}
        differences = [(network.state_dict()[name] - before[name]).abs().max().item() for name in changed]
        sd = torch.cat([before[name].flatten().float() for name in changed]).std().item()
        drifts[keeps] = max(differences) / sd
    return SwapTimes(
        labels=labels,
        swaps=swaps,
        in_place_ms=Spread.of(times[False]),
        restored_ms=Spread.of(times[True]),
        reload_ms=Spread.of(reload_ms),
        drift=drifts[False],
        restored_drift=drifts[True],
    )


def _read_loras(directory: RunDirectory, records: Sequence[Record]) -> dict[str, Updates]:
    loras: dict[str, Updates] = {}
    for record in records:
        try:
            loras[record.trial.label] = read_low_rank_updates(directory.get_adapter_folder(record.trial))
        except (ModelError, OSError, ValueError):  # it is no adapter of peft
            continue
    return loras


def _load_merged(setting: Setting, updates: Updates) -> None:
    network = hold_for_inference(load_base(setting), get_dtype(setting.precision)).network
    MergedSwap(network, lambda _: updates, keep_original=False).swap_to("it")


def _time(work: Callable[..., None], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - start)
