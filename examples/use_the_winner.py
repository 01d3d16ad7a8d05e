"""Answer a prompt with the adapter that a comparison trained.

python examples/use_the_winner.py runs/demo "The text to summarize."
"""

import argparse
from pathlib import Path

import torch

import tuneoff
from tuneoff.models.generation import generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("text")
    parser.add_argument("--label", help="the best method unless given")
    parser.add_argument("--max-new-tokens", type=int, default=48)
    chosen = parser.parse_args()
    model = tuneoff.load_model(chosen.run, label=chosen.label)
    encoded = model.tokenizer(chosen.text, return_tensors="pt")
    generated_BT = generate(
        model,
        encoded["input_ids"],
        torch.ones_like(encoded["input_ids"], dtype=torch.bool),
        max_new_tokens=chosen.max_new_tokens,
    )
    print(model.tokenizer.decode(generated_BT[0], skip_special_tokens=True))


if __name__ == "__main__":
    main()
