"""Models: from a name in a recipe to a language model whose head sees only scored positions."""
