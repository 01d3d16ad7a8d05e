"""The engine over HTTP: an API like OpenAI's, and a page to compare the arms."""
