"""A model that does more than a head after its trunk."""

import torch
from torch import Tensor, nn


class CenteredLlama(nn.Module):
    """A Llama whose logits depend on all positions: their mean is subtracted."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.device = torch.device("cpu")

    def get_output_embeddings(self) -> nn.Module:
        return self.network.get_output_embeddings()

    def get_input_embeddings(self) -> nn.Module:
        return self.network.get_input_embeddings()

    def forward(self, **inputs: Tensor) -> object:
        output = self.network(**inputs)
        flat = output.logits.reshape(-1, output.logits.shape[-1])
        output.logits = output.logits - flat.mean(dim=0)
        return output
