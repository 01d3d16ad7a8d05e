"""Serve the base model and everything that runs trained from it, in batches that mix them."""

from tuneoff.serving.engine import Engine, Ticket
from tuneoff.serving.opening import open_engine
from tuneoff.serving.requests import ArmInfo, Failed, Finished, Prompt, Request, Sampling, Stats, Token

__all__ = [
    "ArmInfo",
    "Engine",
    "Failed",
    "Finished",
    "Prompt",
    "Request",
    "Sampling",
    "Stats",
    "Ticket",
    "Token",
    "open_engine",
]
