"""What was trained alone: an adapter of peft, or the trained tensors with a small file that loads them."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from tuneoff.errors import RunError
from tuneoff.exports import load_trained
from tuneoff.exports.exportable import Exportable
from tuneoff.exports.format import ExportOptions, Format
from tuneoff.exports.merged import get_stored_precision
from tuneoff.exports.readers import TransformersReader, list_ends
from tuneoff.methods import get_method
from tuneoff.methods.peft_adapter import add_adapter, silence_peft, sort_sets
from tuneoff.methods.peft_copies import fill_adapter
from tuneoff.models.loading import load_model
from tuneoff.models.quantisation import compute_in, make_quantization_config, make_safe

PEFT_CONFIG = "adapter_config.json"
LOADER = "load_trained.py"


def write(exportable: Exportable, folder: Path, options: ExportOptions) -> None:
    """Copy what the trial trained, with the tokenizer.

    Raises:
        RunError: nothing was trained, or another precision was asked for.
    """
    if not exportable.adapter.is_dir():
        raise RunError(f"{exportable.label} trained nothing, so there is no adapter to export.")
    if options.precision:
        raise RunError("An adapter keeps the precision of its training. Leave --dtype out, or export it merged.")
    if (exportable.adapter / "config.json").is_file():
        raise RunError(f"{exportable.label} trains the whole model, which is no adapter. Export it with --as merged.")
    config = _describe_for_peft(exportable)
    if config:
        _write_for_peft(exportable, config, folder)
    else:
        shutil.copytree(exportable.adapter, folder, dirs_exist_ok=True)
    exportable.tokenizer.save_pretrained(folder)
    if not _has_config(folder):
        if exportable.quantised:
            raise RunError(
                f"What {exportable.label} trained stands on a quantised base, on which only peft's adapters are loaded "
                "by plain tools. Load it with tuneoff.load."
            )
        shutil.copyfile(load_trained.__file__, folder / LOADER)
        (folder / "base.json").write_text(json.dumps({"base": exportable.model.known_as}) + "\n")


def is_for_peft(exportable: Exportable) -> bool:
    """Return whether the folder of this adapter is one that peft loads."""
    return _has_config(exportable.adapter) or _describe_for_peft(exportable) is not None


def _has_config(folder: Path) -> bool:
    return (folder / PEFT_CONFIG).is_file()


def _describe_for_peft(exportable: Exportable) -> Any:  # Any: peft's configs
    """Return the config of peft's adapter for tensors that are stored in another form; None if there is none."""
    if exportable.quantised:
        return None
    trial = exportable.record.trial
    return get_method(trial.method).read(trial.hyperparameters).describe_for_peft(exportable.model)


def _write_for_peft(exportable: Exportable, config: Any, folder: Path) -> None:
    """Write what was trained as an adapter of peft, with what is the same in the base model left out."""
    base = load_model(exportable.source, exportable.record.trial.setting.model, exportable.model.tokenizer)
    adapter = add_adapter(base.float(), config)
    fill_adapter(adapter.base, exportable.model)
    sort_sets(adapter.network.active_peft_config)
    adapter.network.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's own, instead of which there is ours


def read(exportable: Exportable, folder: Path) -> TransformersReader:
    """Load the folder with plain transformers and peft, or with its own loader."""
    base = str(exportable.source.folder)
    if _has_config(folder):
        from peft import PeftModel

        network = _load_base(exportable)
        with silence_peft():
            network = PeftModel.from_pretrained(network, folder)
    else:
        network = _load_with_loader(folder, base)
    return TransformersReader(network=network.eval(), ends=list_ends(exportable.model))


def _load_base(exportable: Exportable) -> Any:  # Any: transformers' models share no type
    """Load the base model in float32, quantised as in the run."""
    options = exportable.record.trial.setting.model
    quantised = {"quantization_config": make_quantization_config(options.quantise)} if options.quantise else {}
    network = AutoModelForCausalLM.from_pretrained(
        exportable.source.folder, dtype=torch.float32, use_safetensors=True, device_map="cpu", **quantised
    )
    make_safe(network, options.name)
    compute_in(network, torch.float32)
    return network


def _load_with_loader(folder: Path, base: str) -> Any:  # Any: transformers' models share no type
    """Run the loader that stands in the folder, as a user would."""
    spec = importlib.util.spec_from_file_location("exported_loader", folder / LOADER)
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder / LOADER} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(base)[0]


def describe_usage(exportable: Exportable, folder: str) -> str:
    """Return how to load the folder."""
    if not is_for_peft(exportable):
        return f"""```python
import sys

sys.path.insert(0, "{folder}")
from load_trained import load

model, tokenizer = load()  # or load("another/name/of/the/base/model")
```"""
    further = ", BitsAndBytesConfig" if exportable.record.trial.setting.model.quantise else ""
    return f"""```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer{further}

base = AutoModelForCausalLM.from_pretrained(
    "{exportable.model.known_as}", dtype="{get_stored_precision(exportable)}"{_describe_quantisation(exportable)}
)
model = PeftModel.from_pretrained(base, "{folder}")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
```"""


def _describe_quantisation(exportable: Exportable) -> str:
    """Return the argument with which transformers quantises the base model as the run did."""
    quantise = exportable.record.trial.setting.model.quantise
    if quantise is None:
        return ""
    arguments = make_quantization_config(quantise).to_diff_dict()
    written = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if not name.startswith("_"))
    return f",\n    quantization_config=BitsAndBytesConfig({written}),"


ADAPTER = Format(
    name="adapter",
    summary="What was trained, without the base model: an adapter of peft, or tensors with a file that loads them.",
    write=write,
    read=read,
    usage=describe_usage,
    base="same",
)
