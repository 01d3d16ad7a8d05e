"""The usual stack's side of the benchmark: transformers' Trainer, peft, padded batches, all logits, `generate`."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks import work
from benchmarks.ours import LEARNING_RATE
from benchmarks.work import NEW_TOKENS, TESTED, TRAINED, VALIDATED, Case, list_training_order
from tuneoff.runtime.meter import Meter


class Side(work.Side):
    """A model that is trained and evaluated by Trainer.

    Args:
        bf16: compute matrix products in bf16. Weights stay in float32, as in Trainer.
    """

    def __init__(self, case: Case, folder: Path, device: str, *, bf16: bool) -> None:
        self.case, self.folder, self.device, self.bf16 = case, folder, device, bf16
        self.meter = Meter(torch.device(device))
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        without_method = case.task in {"evaluation", "generation"}
        self.model = self._load_base() if without_method else self._load_for_training(case.method)

    def run_round(self) -> tuple[float, float]:
        with self.meter.phase("round"):
            return super().run_round()

    def evaluate(self) -> tuple[float, float]:
        trainer = self._create_trainer(self.model, self.make_rows(), self.case.batch_size, epochs=1)
        start = time.perf_counter()
        loss = trainer.evaluate(_add_labels(self.make_rows()))["eval_loss"]
        return time.perf_counter() - start, loss

    def run_trial(self, method: str) -> float:
        model = self._load_for_training(method)
        trainer = self._create_trainer(
            model, self.make_rows(TRAINED), 4, epochs=2, validation=self.make_rows(VALIDATED)
        )
        loss: float = trainer.train().training_loss
        trainer.evaluate(_add_labels(self.make_rows(TESTED)))
        self.generate(model, TESTED)
        return loss

    def get_peak_bytes(self) -> int:
        memory = self.meter.get_peak("round")
        assert memory is not None, "only after a round"
        return memory.peak_bytes

    def train(self, model: Any, count: int, epochs: int) -> tuple[float, float]:
        trainer, timer = self._create_trainer(model, self.make_rows(count), self.case.batch_size, epochs), _StepTimer()
        trainer.add_callback(timer)
        loss = trainer.train().training_loss
        return timer.seconds, loss

    def _create_trainer(
        self, model: Any, train: Dataset, batch_size: int, epochs: int, validation: Dataset | None = None
    ) -> Trainer:
        lengths = [len(tokens) for tokens in train["tokens"]]
        in_order = train.select(list_training_order(lengths, batch_size, epochs))  # all epochs, in our order
        arguments = TrainingArguments(
            output_dir=str(self.folder.parent / "trainer"),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=16 if validation else batch_size,
            num_train_epochs=1,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            bf16=self.bf16,
            use_cpu=self.device == "cpu",
            optim="adamw_torch_fused",
            train_sampling_strategy="sequential",
            eval_strategy="steps" if validation else "no",
            eval_steps=len(train) // batch_size,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        labeled_validation = _add_labels(validation) if validation else None
        trainer = Trainer(
            model,
            arguments,
            data_collator=DataCollatorForSeq2Seq(self.tokenizer),  # pads each batch to its own longest row
            train_dataset=_add_labels(in_order),
            eval_dataset=labeled_validation,
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    @torch.no_grad()
    def generate(self, model: Any, count: int) -> float:
        model.eval()
        start = time.perf_counter()
        prompts = self.make_prompts(count)["tokens"]
        inputs = [{"input_ids": row} for row in (sorted(prompts, key=len) if self.case.on_text else prompts)]
        self.tokenizer.padding_side = "left"
        autocast = torch.autocast(self.device, torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with autocast:
            for first in range(0, count, size := self.case.generation_batch_size):
                batch = self.tokenizer.pad(inputs[first : first + size], return_tensors="pt").to(self.device)
                generated = model.generate(
                    **batch, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False,
                    pad_token_id=self.tokenizer.pad_token_id,
                )  # fmt: skip
                self.tokenizer.batch_decode(generated[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return time.perf_counter() - start

    def _load_base(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32).to(self.device)

    def _load_for_training(self, method: str) -> Any:
        model = self._load_base()
        torch.manual_seed(0)
        match method:
            case "full":
                return model
            case "last-layer":
                model.requires_grad_(False)
                model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
                return model
            case "soft-prompt":
                return get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=12))
            case _:
                modules = "all-linear" if method == "lora-all-linear" else None
                return get_peft_model(
                    model, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=32, target_modules=modules)
                )


class _StepTimer(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Times the steps alone, without the loading and logging between them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._start = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds += time.perf_counter() - self._start


def _add_labels(split: Dataset) -> Dataset:
    """Return the split as transformers' causal models expect it: with labels that skip the prompt."""
    tokens = [list(row) for row in split["tokens"]]
    labels = [[-100] * n + row[n:] for row, n in zip(tokens, split["prompt_tokens"], strict=True)]
    return Dataset.from_dict({"input_ids": tokens, "attention_mask": [[1] * len(r) for r in tokens], "labels": labels})
