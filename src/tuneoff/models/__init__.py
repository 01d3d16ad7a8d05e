"""Models: find and load them, compute logits at the scored positions, and generate text."""
