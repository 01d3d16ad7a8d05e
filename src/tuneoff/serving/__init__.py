"""Serve the base model and everything that runs trained from it, in batches that mix them."""
