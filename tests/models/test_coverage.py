"""What a method leaves untouched: experts, convolutions, states, blocks."""

from typing import Any

import pytest

from benchmarks.families.checks import CHECKED
from benchmarks.families.tiny import build_empty_network
from benchmarks.families.tokenizer import build_tokenizer
from tuneoff.models.coverage import describe_untouched
from tuneoff.models.language_model import LanguageModel

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # of models that are made without a checkpoint


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def describe(architecture: str, method: str, tokenizer: Any) -> str:
    def build() -> LanguageModel:
        return LanguageModel(build_empty_network(architecture), tokenizer, "tiny", split_head=True)

    return "; ".join(describe_untouched(CHECKED[method].apply(build()), build()))


@pytest.mark.parametrize(
    ("architecture", "method", "warning"),
    [
        ("mixtral", "dora", "trains nothing in the experts"),
        ("gpt_oss", "lora", "% of the model (lora can, if need be with experts: true)"),
        ("jamba", "lora", "trains nothing in the convolutions"),
        ("mamba", "lora", "trains nothing in the parameters of recurrent states"),
        ("llama", "last-blocks", "trains nothing in 1 of 2 blocks (0)"),
    ],
)
def test_what_is_untouched_is_said(architecture: str, method: str, warning: str, tokenizer: Any) -> None:
    assert warning in describe(architecture, method, tokenizer)


@pytest.mark.parametrize(
    ("architecture", "method"),
    [
        ("llama", "lora"),  # all of its linear layers
        ("mixtral", "lora"),  # also the experts, which peft adapts as one parameter
        ("jamba", "full"),
        ("gpt2", "ia3"),
        ("gpt2", "prefix"),
        ("mixtral", "soft-prompt"),  # nothing inside the blocks by design
        ("llama", "last-layer"),
    ],
)
def test_there_is_no_warning_where_nothing_is_left_out(architecture: str, method: str, tokenizer: Any) -> None:
    assert describe(architecture, method, tokenizer) == ""
