"""The usual stack's side: transformers' Trainer with peft, padded batches, full logits, and `generate`."""

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
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks import work
from benchmarks.ours import RATE
from benchmarks.work import NEW_TOKENS, PROMPT, Case, order, prompts, rows
from tuneoff.runtime.meter import Meter


class Side(work.Side):
    """One model at work, in the way that a script around Trainer works.

    Args:
        bf16: whether its products are computed in bf16; weights stay in float32, as Trainer has them.
    """

    def __init__(self, case: Case, folder: Path, device: str, *, bf16: bool) -> None:
        self.case, self.folder, self.device, self.bf16 = case, folder, device, bf16
        self.meter = Meter(torch.device(device))
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        bare = case.task in {"evaluation", "generation"}
        self.model = self._base() if bare else self._ready(case.method)

    def round(self) -> tuple[float, float]:
        with self.meter.phase("round"):
            return super().round()

    def evaluate(self) -> tuple[float, float]:
        trainer = self._trainer(self.model, rows(), self.case.batch_size, epochs=1)
        start = time.perf_counter()
        loss = trainer.evaluate(_with_labels(rows()))["eval_loss"]
        return time.perf_counter() - start, loss

    def whole(self, method: str) -> float:
        model = self._ready(method)
        trainer = self._trainer(model, rows(32), 4, epochs=2, held_out=rows(16))
        loss: float = trainer.train().training_loss
        trainer.evaluate(_with_labels(rows(16)))
        self.write(model, 16)
        return loss

    def peak_bytes(self) -> int:
        memory = self.meter.memory("round")
        assert memory is not None, "asked only after a round"
        return memory.peak_bytes

    def train(self, model: Any, count: int, epochs: int) -> tuple[float, float]:
        trainer, clock = self._trainer(model, rows(count), self.case.batch_size, epochs), _Clock()
        trainer.add_callback(clock)
        loss = trainer.train().training_loss
        return clock.seconds, loss

    def _trainer(
        self, model: Any, train: Dataset, batch_size: int, epochs: int, held_out: Dataset | None = None
    ) -> Trainer:
        in_order = train.select(order(len(train), batch_size, epochs))  # the epochs one after the other, as ours goes
        arguments = TrainingArguments(
            output_dir=str(self.folder.parent / "trainer"),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=16 if held_out else batch_size,
            num_train_epochs=1,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            bf16=self.bf16,
            use_cpu=self.device == "cpu",
            optim="adamw_torch_fused",
            train_sampling_strategy="sequential",
            eval_strategy="steps" if held_out else "no",
            eval_steps=len(train) // batch_size,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        held = _with_labels(held_out) if held_out else None
        trainer = Trainer(model, arguments, train_dataset=_with_labels(in_order), eval_dataset=held)
        trainer.remove_callback(PrinterCallback)
        return trainer

    @torch.no_grad()
    def write(self, model: Any, count: int) -> float:
        model.eval()
        start = time.perf_counter()
        asked = [{"input_ids": row} for row in prompts(count)["tokens"]]
        self.tokenizer.padding_side = "left"
        cast = torch.autocast(self.device, torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with cast:
            for first in range(0, count, size := self.case.answered_together):
                batch = self.tokenizer.pad(asked[first : first + size], return_tensors="pt").to(self.device)
                written = model.generate(
                    **batch, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False,
                    pad_token_id=self.tokenizer.pad_token_id,
                )  # fmt: skip
                self.tokenizer.batch_decode(written[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return time.perf_counter() - start

    def _base(self) -> Any:
        return AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32).to(self.device)

    def _ready(self, method: str) -> Any:
        model = self._base()
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


class _Clock(TrainerCallback):  # type: ignore[misc]  # transformers has no types for us
    """Seconds inside steps alone: what loads and logs between them is not counted against the peer."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._start = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds += time.perf_counter() - self._start


def _with_labels(split: Dataset) -> Dataset:
    """What a causal model of transformers wants: labels that skip the prompt."""
    tokens = split["tokens"]
    labels = [[-100] * PROMPT + list(row[PROMPT:]) for row in tokens]
    return Dataset.from_dict(
        {"input_ids": list(tokens), "attention_mask": [[1] * len(r) for r in tokens], "labels": labels}
    )
