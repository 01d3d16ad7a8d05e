"""Load a causal language model and its tokenizer, as safetensors and without remote code."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tuneoff.config.model import ModelOptions
from tuneoff.errors import ModelError
from tuneoff.models.language_model import LanguageModel
from tuneoff.models.probe import can_split_head
from tuneoff.models.sources import Source


def load_tokenizer(source: Source, options: ModelOptions) -> Any:  # Any: transformers' tokenizers share no type
    """The model's tokenizer; one without a pad token pads with EOS, which the attention mask hides.

    Raises:
        ModelError: there is none, or it cannot end a text.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=options.trust_remote_code)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"{options.name} has no tokenizer that can be loaded: {error}") from error
    if tokenizer.eos_token is None:
        raise ModelError(f"The tokenizer of {options.name} has no EOS token, so that no target could end.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(source: Source, options: ModelOptions, tokenizer: Any) -> LanguageModel:
    """The base model in its checkpoint's own precision, on the CPU, with its head probed.

    Raises:
        ModelError: the folder does not hold a causal language model that transformers can build.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    from tuneoff.models import gpt_neo  # noqa: F401  gives it its attention

    try:
        with silence_transformers():
            network, found = AutoModelForCausalLM.from_pretrained(
                source.folder,
                dtype="auto",
                use_safetensors=True,
                trust_remote_code=options.trust_remote_code,
                output_loading_info=True,
            )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{options.name} cannot be loaded as a causal language model: {error}") from error
    missing = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
    if missing:  # transformers would fill them with random numbers
        raise ModelError(
            f"{options.name} lacks {len(missing)} of its tensors, such as {missing[0]}. Fetch the whole model again."
        )
    network.eval()
    network.generation_config = _make_generation_config(network.generation_config, tokenizer)
    return LanguageModel(network, tokenizer, source.known_as, split_head=can_split_head(network))


def _make_generation_config(shipped: Any, tokenizer: Any) -> Any:  # Any: transformers' own types
    """Generation that does only what the recipe says: what a model ships (a penalty, sampling) is left aside.

    Only its end tokens are kept, beside the tokenizer's: a chat model may end its turn with another than its text.
    """
    from transformers import GenerationConfig

    ends = shipped.eos_token_id if isinstance(shipped.eos_token_id, list) else [shipped.eos_token_id]
    own = {tokenizer.eos_token_id, *(end for end in ends if end is not None)}
    return GenerationConfig(eos_token_id=sorted(own), pad_token_id=tokenizer.pad_token_id)


def build_empty_model(source: Source, options: ModelOptions, tokenizer: Any) -> LanguageModel:
    """The model's shape without its weights, to count what a method trains before anything is loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tuneoff.models import gpt_neo  # noqa: F401  gives it its attention

    try:
        config = AutoConfig.from_pretrained(source.folder, trust_remote_code=options.trust_remote_code)
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, trust_remote_code=options.trust_remote_code)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(
            f"{options.name} is no causal language model that can be built here: {error} "
            "(In a recipe, remote code is allowed by model.trust_remote_code: true.)"
        ) from error
    return LanguageModel(network, tokenizer, source.known_as, split_head=True)


@contextlib.contextmanager
def silence_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the terminal that shows our own."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
