"""Tiny arms of every method, trained enough to differ from the base model, and the tokens that each writes alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tuneoff.methods import METHODS, read_method
from tuneoff.models.generation import generate
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.precision import hold_for_inference
from tuneoff.models.sampling import Sampling as SamplingRule
from tuneoff.serving.arms import ArmSource
from tuneoff.serving.requests import Request

Load = Callable[[str], LanguageModel]
Sources = dict[str, ArmSource]
HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "last-blocks": {"blocks": 1},
    "p-tuning": {"tokens": 3, "width": 8},
    "soft-prompt": {"tokens": 5},
    "prefix": {"tokens": 4},
    "pissa": {"rank": 4},
    "peft": {"peft_type": "LOHA", "r": 2},
}
MISFITS = {("llama", "bitfit"), ("gemma2", "bitfit"), ("gpt2", "peft"), ("gpt2", "olora")}  # no biases; no Conv1D


def list_methods(architecture: str) -> list[str]:
    """Return all methods of the table that fit an architecture."""
    return [name for name in METHODS if (architecture, name) not in MISFITS]


def save_trained(model: LanguageModel, name: str, folder: Path) -> ArmSource:
    """Apply a method, move all that it trains, and save it as a trial does."""
    method = read_method(name, HYPERPARAMETERS.get(name, {}))
    torch.manual_seed(3)
    tuned = method.apply(model)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    method.save(tuned, folder)
    return ArmSource(method=method, folder=folder)


@pytest.fixture(scope="session")
def sources(load_tiny: Load, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sources]:
    """The arms of an architecture, by the names of their methods."""
    made: dict[str, Sources] = {}

    def make(architecture: str) -> Sources:
        if architecture not in made:
            root = tmp_path_factory.mktemp(architecture)
            made[architecture] = {
                name: save_trained(load_tiny(architecture), name, root / name) for name in list_methods(architecture)
            }
        return made[architecture]

    return make


@pytest.fixture(scope="session")
def load_base(load_tiny: Load) -> Load:
    """A base model that is ready to be served, which ends no text at once."""

    def load(architecture: str) -> LanguageModel:
        return hold_for_inference(load_tiny(architecture), torch.float32)

    return load


@pytest.fixture(scope="session")
def load_alone(load_tiny: Load, sources: Callable[[str], Sources]) -> Callable[[str, str], LanguageModel]:
    """The trained model of an arm, loaded for itself."""
    loaded: dict[tuple[str, str], LanguageModel] = {}

    def load(architecture: str, name: str) -> LanguageModel:
        key = architecture, name
        if key not in loaded:
            source = sources(architecture)[name]
            assert source.folder is not None
            loaded[key] = hold_for_inference(source.method.load(load_tiny(architecture), source.folder), torch.float32)
        return loaded[key]

    return load


def answer_alone(model: LanguageModel, request: Request) -> tuple[int, ...]:
    """Return the tokens that the trained model writes by itself, as for the predictions of a run."""
    sampling = request.sampling
    rule = SamplingRule(
        temperature=sampling.temperature, top_p=sampling.top_p if sampling.top_p < 1 else None, seed=sampling.seed or 0
    )
    prompt_1T = torch.tensor([request.prompt_ids])
    answer = generate(
        model,
        prompt_1T,
        torch.ones_like(prompt_1T, dtype=torch.bool),
        max_new_tokens=sampling.max_tokens,
        stops=sampling.stop,
        sampling=rule if sampling.temperature else None,
    )[0].tolist()
    return cut_at(answer, [model.tokenizer.eos_token_id])


def cut_at(tokens: Sequence[int], ends: Sequence[int]) -> tuple[int, ...]:
    """Return the tokens before the first end token."""
    end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tuple(tokens[:end])
