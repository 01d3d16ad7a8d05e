"""What is handed over computes what was trained, read back with the tools it is for."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import tuneoff
from tests.exports.conftest import MERGED, NOT_MERGED
from tuneoff.errors import RunError
from tuneoff.exports import FORMATS
from tuneoff.exports import merged as merged_format

pytestmark = pytest.mark.model


@pytest.mark.parametrize("label", MERGED)
def test_a_merged_model_is_the_trained_one(run: Path, tmp_path: Path, label: str) -> None:
    check = tuneoff.export(run, to=tmp_path / "out", label=label, format="merged", precision="float32")
    assert check.largest_logit_difference < 1e-4 * max(1, check.logit_sd)
    assert check.same_answers == check.prompts
    assert not list((tmp_path / "out").glob("adapter_*"))
    assert "library_name: transformers" in (tmp_path / "out" / "README.md").read_text()
    tokens = torch.arange(2, 40)[None]
    folders = run.parent / "model", tmp_path / "out"
    base, exported = (AutoModelForCausalLM.from_pretrained(folder)(tokens).logits for folder in folders)
    assert (base - exported).abs().max() > 1e-4, "else the base model's weights would pass too"


@pytest.mark.parametrize("label", NOT_MERGED)
def test_what_cannot_be_merged_is_refused_with_the_alternative(run: Path, tmp_path: Path, label: str) -> None:
    with pytest.raises(RunError, match="Export it with --as adapter"):
        tuneoff.export(run, to=tmp_path / "out", label=label, format="merged")
    assert not (tmp_path / "out").exists()


def test_a_lower_precision_is_stored_and_its_rounding_is_reported(run: Path, tmp_path: Path) -> None:
    check = tuneoff.export(run, to=tmp_path / "out", label="lora", format="merged", precision="bfloat16")
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert check.largest_logit_difference > 0


def test_an_export_that_computes_something_else_is_refused_and_not_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_damaged(exportable: object, folder: Path, options: object) -> None:
        merged_format.write(exportable, folder, options)  # type: ignore[arg-type]
        weights = load_file(folder / "model.safetensors")
        name = next(name for name in weights if "down_proj" in name)
        save_file({**weights, name: weights[name] * 1.5}, folder / "model.safetensors", metadata={"format": "pt"})

    damaged = FORMATS["merged"].__class__(**{**vars(FORMATS["merged"]), "write": write_damaged})
    monkeypatch.setitem(FORMATS, "merged", damaged)
    with pytest.raises(RunError, match="differs from the trained model by more than rounding"):
        tuneoff.export(run, to=tmp_path / "out", label="lora", format="merged")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_peft_loads_itself_in_a_process_without_tuneoff(run: Path, tmp_path: Path) -> None:
    tuneoff.export(run, to=tmp_path / "out", label="adapter")
    code = (
        "import sys; from load_trained import load; model, tokenizer = load(); "
        "assert 'tuneoff' not in sys.modules; print(type(model).__name__, len(tokenizer))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "out", capture_output=True, text=True, check=False
    )
    assert result.stdout.startswith("LlamaForCausalLM"), result.stderr


def test_a_soft_prompt_is_exported_as_vectors(run: Path, tmp_path: Path) -> None:
    check = tuneoff.export(run, to=tmp_path / "out", label="soft-prompt", format="prompt-embeds")
    assert load_file(tmp_path / "out" / "prompt_embeds.safetensors")["prompt_embeds"].shape == (5, 32)
    assert check.same_answers == check.prompts
    with pytest.raises(RunError, match="has no soft prompt"):
        tuneoff.export(run, to=tmp_path / "other", label="lora", format="prompt-embeds")


@pytest.mark.parametrize("label", ["lora", "rslora", "pissa"])
def test_a_lora_becomes_a_gguf_adapter(run: Path, tmp_path: Path, label: str) -> None:
    import gguf

    check = tuneoff.export(run, to=tmp_path / "out", label=label, format="gguf-lora")
    reader = gguf.GGUFReader(tmp_path / "out" / "adapter.gguf")
    names = {tensor.name for tensor in reader.tensors}
    assert {"blk.0.attn_q.weight.lora_a", "blk.1.attn_v.weight.lora_b"} <= names
    assert check.same_answers == check.prompts


@pytest.mark.parametrize("label", ["dora", "ia3", "full"])
def test_what_is_no_plain_lora_is_no_gguf_adapter(run: Path, tmp_path: Path, label: str) -> None:
    with pytest.raises(RunError, match="--as gguf, which merges it"):
        tuneoff.export(run, to=tmp_path / "out", label=label, format="gguf-lora")


def test_vllm_gets_a_rank_that_it_accepts_and_only_what_it_serves(run: Path, tmp_path: Path) -> None:
    tuneoff.export(run, to=tmp_path / "out", label="pissa", format="vllm")
    assert "--max-lora-rank 8" in (tmp_path / "out" / "README.md").read_text()
    for label, reason in {"dora": "is DoRA", "ia3": "is no LoRA", "adapter": "is no LoRA"}.items():
        with pytest.raises(RunError, match=reason):
            tuneoff.export(run, to=tmp_path / label, label=label, format="vllm")


def test_the_card_has_metadata_scores_verdict_and_check(run: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    tuneoff.export(run, to=tmp_path / "out", label="lora")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name == "peft"
    assert {"loss", "rougeL"} <= {result.metric_type for result in card.data.eval_results}
    assert all(result.metric_args["low"] <= result.metric_value for result in card.data.eval_results)
    for part in ("PeftModel.from_pretrained", "fingerprint", "It was read back", "| lora"):
        assert part in card.text
    assert json.loads((tmp_path / "out" / "export.json").read_text())["prompts"] == 3


def test_the_tokens_that_end_an_answer_of_the_run_go_along(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneoff.data.prompt.Encoder.ends", (7,), raising=False)
    monkeypatch.setattr("tuneoff.data.prompt.Encoder.__setattr__", _set_all_but_ends, raising=False)
    tuneoff.export(run, to=tmp_path / "out", label="lora", format="merged")
    config = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert 7 in config["eos_token_id"]


def _set_all_but_ends(encoder: object, name: str, value: object) -> None:
    if name != "ends":
        object.__setattr__(encoder, name, value)


def test_the_tokenizer_is_the_base_models_own(run: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tuneoff.export(run, to=tmp_path / "out", label="lora", format="merged")
    own, exported = (AutoTokenizer.from_pretrained(f) for f in (run.parent / "model", tmp_path / "out"))
    assert own.backend_tokenizer.to_str() == exported.backend_tokenizer.to_str()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "mergd"}, "Did you mean 'merged'"),
        ({"label": "base"}, "trained nothing"),
        ({"label": "full"}, "trains the whole model, which is no adapter"),
        ({"label": "lorra"}, "Did you mean 'lora'"),
        ({"label": "lora", "precision": "bfloat16"}, "keeps the precision of the training"),
        ({"label": "lora", "format": "prompt-embeds", "precision": "q8_0"}, "not q8_0"),
        ({"label": "lora", "format": "gguf", "converter": "nowhere"}, "There is no convert_hf_to_gguf.py at nowhere"),
    ],
)
def test_bad_input_is_refused_with_the_cure(run: Path, tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(RunError, match=message):
        tuneoff.export(run, to=tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_not_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        tuneoff.export(run, to=tmp_path, label="lora")


def test_gguf_without_the_converter_says_how_to_get_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEOFF_GGUF_CONVERTER", raising=False)
    monkeypatch.setenv("TUNEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(RunError, match="--install-converter"):
        tuneoff.export(run, to=tmp_path / "out", label="lora", format="gguf")


def test_a_base_model_that_changed_is_refused(run: Path, tmp_path: Path, model_folder: Callable[[str], Path]) -> None:
    import shutil

    copy = Path(shutil.copytree(run.parent, tmp_path / "copy"))
    config = copy / "model" / "config.json"
    text = (run / "recipe.yaml").read_text()
    assert str(run.parent / "model") in text
    original = config.read_text()
    (run.parent / "model" / "config.json").write_text(original.replace("}", ', "changed": 1}', 1))
    try:
        with pytest.raises(RunError, match="is not the model that this run used"):
            tuneoff.export(run, to=tmp_path / "out", label="lora")
    finally:
        (run.parent / "model" / "config.json").write_text(original)
