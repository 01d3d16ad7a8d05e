"""Load a causal language model and its tokenizer, from safetensors and by default without remote code."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.models import gpt_neo  # noqa: F401  registers GPT-Neo's fused attention
from tuneoff.models.config_sizes import describe_error, require_sane_config
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import can_split_head, is_causal, writes_by_its_logits
from tuneoff.models.quantisation import (
    find_quantizer,
    make_quantization_config,
    make_safe,
    quantise_shape,
    without_outliers,
)
from tuneoff.models.sources import Source
from tuneoff.models.supported import SUPPORTED, describe_unsupported
from tuneoff.models.tokenizer_cost import require_quick_tokenizer
from tuneoff.system.full_memory import is_out_of_memory
from tuneoff.system.panics import is_panic


def load_tokenizer(source: Source, options: ModelOptions) -> Any:  # Any: transformers' tokenizers share no type
    """Load the model's tokenizer. Without a pad token it pads with EOS, which the attention mask hides.

    Raises:
        ModelError: there is no tokenizer, or it has no EOS token.
    """
    require_quick_tokenizer(source.folder, options.name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=options.trust_remote_code)
    except BaseException as error:  # what tokenizers and transformers raise on broken files has no common type
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise ModelError(f"{options.name} has no tokenizer that can be loaded: {error}") from error
    if tokenizer.eos_token is None:
        raise ModelError(f"The tokenizer of {options.name} has no EOS token, so that no target could end.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(source: Source, options: ModelOptions, tokenizer: Any) -> LanguageModel:
    """Load the base model on the CPU, in the precision of its checkpoint or quantised as the options say.

    Raises:
        ModelError: the folder does not contain a causal language model that transformers can build, or it cannot be
            quantised here.
    """
    quantization = {"quantization_config": make_quantization_config(options.quantise)} if options.quantise else {}
    try:
        with _silence_transformers():
            network, loading_info = AutoModelForCausalLM.from_pretrained(
                source.folder,
                dtype="auto",
                use_safetensors=True,
                trust_remote_code=options.trust_remote_code,
                output_loading_info=True,
                device_map={"": "cpu"} if quantization else None,  # else transformers takes a GPU for a quantised one
                **quantization,
            )
    except Exception as error:  # the models' own code raises all types of errors
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{options.name} cannot be loaded as a causal language model: {error}") from error
    missing = sorted(map(str, [*loading_info["missing_keys"], *loading_info["mismatched_keys"]]))
    if missing:  # transformers initializes them at random
        raise ModelError(
            f"{options.name} lacks {len(missing)} of its tensors, such as {missing[0]}. Download the model again."
        )
    network.eval()
    make_safe(network, options.name)
    with without_outliers(network):
        return _check_and_wrap(network, source, options, tokenizer)


def _check_and_wrap(network: Any, source: Source, options: ModelOptions, tokenizer: Any) -> LanguageModel:
    """Return the model if it can be tuned, by what it computes.

    Raises:
        ModelError: it cannot, with the reason.
    """
    if not is_causal(network):
        raise ModelError(
            f"{options.name} cannot be tuned: in a {type(network).__name__}, tokens see those after them, so it cannot "
            f"write text. {SUPPORTED}"
        )
    network.generation_config = _make_generation_config(network.generation_config, tokenizer)
    if not writes_by_its_logits(network):
        raise ModelError(
            f"{options.name} cannot be tuned: a {type(network).__name__} does not write the token that its logits "
            f"predict. {SUPPORTED}"
        )
    return LanguageModel(network, tokenizer, source.known_as, split_head=can_split_head(network))


def _make_generation_config(shipped: Any, tokenizer: Any) -> Any:  # Any: transformers' own types
    """Return generation options that leave out what a model ships with, such as sampling or a penalty.

    Only its end tokens are kept, besides the tokenizer's: a chat model may end its turn with another token.
    """
    shipped_ends = shipped.eos_token_id if isinstance(shipped.eos_token_id, list) else [shipped.eos_token_id]
    ends = {tokenizer.eos_token_id, *(end for end in shipped_ends if end is not None)}
    return GenerationConfig(eos_token_id=sorted(ends), pad_token_id=tokenizer.pad_token_id)


def build_empty_model(source: Source, options: ModelOptions, tokenizer: Any) -> LanguageModel:
    """Build the model without its weights, to count what a method trains before anything is loaded.

    Raises:
        ModelError: the folder does not describe a causal language model that transformers can build.
    """
    require_sane_config(source.folder, options.name)
    try:
        config = AutoConfig.from_pretrained(source.folder, trust_remote_code=options.trust_remote_code)
        if reason := describe_unsupported(config):
            raise ModelError(f"{options.name} cannot be tuned: {reason}")
        quantizer = find_quantizer(config, options.name, options.quantise)
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, trust_remote_code=options.trust_remote_code)
        if quantizer:
            quantise_shape(network, quantizer)
    except ModelError:
        raise
    except Exception as error:  # sizes of 0 or of the wrong type raise all types of errors
        raise ModelError(
            f"{options.name} is not a causal language model that can be built here: {describe_error(error)} "
            "(In a recipe, model.trust_remote_code: true allows remote code.)"
        ) from error
    return LanguageModel(network, tokenizer, source.known_as, split_head=True)


@contextlib.contextmanager
def _silence_transformers() -> Iterator[None]:
    """Hide transformers' progress bars and loading reports, so that they do not mix with ours."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
