"""The command line of tuneoff."""

from tuneoff.cli.commands import app, main

__all__ = ["app", "main"]
