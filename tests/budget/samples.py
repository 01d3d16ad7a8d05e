"""What a probe could have measured, in numbers that are easy to multiply by hand."""

from typing import Any

from tuneoff.budget.probe import Batches, MethodCosts, Probe, Work

GB = 10**9


def make_costs(**changes: Any) -> MethodCosts:
    """Return costs with a step of 2 s, a second for 100 tokens of evaluation, and round numbers otherwise."""
    return MethodCosts.model_validate(
        {
            "trainable_parameters": 10,
            "load_seconds": 3.0,
            "begin_seconds": 4.0,
            "step": {"batch_seconds": 1.0, "token_seconds": 0.01},
            "validation": {"token_seconds": 0.01},
            "evaluation": {"token_seconds": 0.01},
            "new_token_seconds": 0.5,
            "save_seconds": 1.0,
            "training_bytes": 2 * GB,
            "evaluation_bytes": 3 * GB,
            "adapter_bytes": 1000,
            "checkpoint_bytes": 4000,
            **changes,
        }
    )


def make_probe(**costs: MethodCosts) -> Probe:
    """Return a probe of `base`, `lora` and the methods given by label."""
    work = Work(
        epoch=Batches(count=20, tokens=2000),
        validation=Batches(count=2, tokens=200),
        evaluation=Batches(count=4, tokens=400),
        prompts=Batches(count=1, tokens=100),
        validation_prompts=Batches(count=1, tokens=50),
        trunk=Batches(count=5, tokens=500),
        new_tokens=6,
    )
    base = make_costs(trainable_parameters=0, step=None, training_bytes=None, begin_seconds=0, checkpoint_bytes=0)
    return Probe(
        work=work,
        costs={"base": base, "lora": make_costs(), **costs},
        preparation_seconds=5.0,
        inference_seconds=7.0,
        probe_seconds=60.0,
    )
