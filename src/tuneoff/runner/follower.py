"""The process of a follower: `python -m tuneoff.runner.follower FILE_DESCRIPTOR`, which only `Followers` starts.

It waits for a command, carries it out and answers. It ends when the process that started it ends, whatever it does at
that moment.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tuneoff.runtime.channel import Channel
from tuneoff.runtime.followers import ERROR, OUT_OF_MEMORY, Followers, join_group
from tuneoff.system.interrupts import STOP_SIGNALS

if TYPE_CHECKING:
    from torch import Tensor

    from tuneoff.training.follower_model import FollowerModel

# in which the other devices wait for this one
EXCHANGES = {"copy", "sum", "shard", "read_weights", "write_weights", "read_optimizer", "write_optimizer"}
PASSES = {"accumulate", "losses"}  # in which they do so if each device holds a part of the model
Values = Mapping[str, Any]  # JSON


@final
class Follower:
    """Carries out commands: it joins the group of devices, and builds one model after another."""

    def __init__(self) -> None:
        self._device = 0
        self._model: FollowerModel | None = None

    def carry_out(self, command: str, values: Values, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """Carry out a command, and return the answer."""
        if command == "join":
            self._device = values["rank"]
            join_group(values["file"], values["size"], values["backend"], values["rank"])
            return {}
        if command in {"build", "rest"}:
            self._forget()
            self._model = build_model(values, self._device) if command == "build" else None
            return {}
        if self._model is None:
            raise RuntimeError(f"there is no model for {command}")
        return self._model.commands[command](values, tensors)

    def _forget(self) -> None:
        """Free the memory of the last model."""
        from accelerate.utils.memory import clear_device_cache

        if self._model is not None:
            self._model = None
            clear_device_cache(garbage_collection=True)


def build_model(values: Values, device: int) -> FollowerModel:
    """Build the model of a trial as the first device does."""
    import torch
    from accelerate.utils import set_seed

    from tuneoff.config.model import ModelOptions
    from tuneoff.methods import get_method
    from tuneoff.models.loading import load_model, load_tokenizer
    from tuneoff.models.precision import get_dtype, hold_for_training
    from tuneoff.models.sources import Source
    from tuneoff.optimizers import OPTIMIZERS
    from tuneoff.runtime.context import create_context
    from tuneoff.runtime.progress import ignore_progress
    from tuneoff.training.follower_model import FollowerModel

    torch.set_num_threads(values["threads"])
    options = ModelOptions.read(values["model"])
    source = Source(folder=Path(values["folder"]), known_as=values["known_as"], fingerprint=values["fingerprint"])
    method = get_method(values["method"]).read(values["hyperparameters"])
    followers = Followers(in_step=values["in_step"])  # a follower has none itself
    context = create_context(torch.device(values["device"]), values["precision"], ignore_progress, followers)
    base = load_model(source, options, load_tokenizer(source, options))
    set_seed(values["seed"])
    tuned = hold_for_training(method.apply(base), get_dtype(values["precision"]))
    if not followers.in_step:
        tuned = tuned.to(context.device)
    OPTIMIZERS[method.optimizer].hold(tuned)
    return FollowerModel(tuned, context, device)


def serve(channel: Channel) -> None:
    """Carry out commands until the other process has ended."""
    import tuneoff.training.follower_model  # noqa: F401  before the others wait for this process to join them

    follower = Follower()
    gc.freeze()  # else every collection scans all libraries, which takes longer than a small trial
    channel.send({"number": 0})  # its libraries are imported
    while True:
        try:
            values, tensors = channel.receive()
        except EOFError:
            return
        command = values["command"]
        try:
            answer = follower.carry_out(command, values, tensors)
        except Exception as error:
            answer = describe_failure(error)
        channel.send({**answer, "number": values["number"]})
        is_awaited = command in EXCHANGES or (command in PASSES and values["in_step"])
        if is_awaited and {ERROR, OUT_OF_MEMORY} & answer.keys():
            return  # the others would wait for its tensors


def describe_failure(error: Exception) -> dict[str, str]:
    """Return the answer to a command that failed."""
    from tuneoff.runtime.micro_batch import is_out_of_memory

    if is_out_of_memory(error):
        return {OUT_OF_MEMORY: str(error).split(". ")[0]}
    return {ERROR: f"{type(error).__name__}: {error}"}


def end_with_parent() -> None:
    """End this process at once when the one that started it has ended: its end of standard input closes then."""

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Serve the connection whose file descriptor is the argument."""
    for number in STOP_SIGNALS:  # sent to all processes of a terminal or a job: the first device says when to stop
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    serve(Channel(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
