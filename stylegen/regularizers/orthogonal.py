"""Orthogonal regularization in BigGAN's variant (Brock et al. 2019, arXiv 1809.11096, Eq. 3)."""

from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import Choice, Interval, Weight, check_arguments
from stylegen.regularizers.regularizer import Regularizer, WeightBatch
from stylegen.regularizers.scaled_weights import layers_with_weights

_LABEL_EMBEDDINGS = ("embed", "embedding")  # linear layers of one-hot labels, in the mapping networks


class Orthogonal(Regularizer):
    """weight * sum over layers of || W W^T * (1 - I) ||_F^2, with W [out, in * k * k]: filters become orthogonal.

    The diagonal is free, so the norms of the filters are not constrained. W is the weight that the layer applies, after
    the scale of the equalized learning rate. Embeddings of labels are left out, as in the authors' code, which has half
    of this gradient.

    Args:
        weight: factor of the term, beta.
        network: "G", as in the paper, or "D".
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    sources = ()

    def __init__(
        self, weight: Weight = 1e-4, network: Annotated[str, Choice(("G", "D"))] = "G", every: Interval = 1
    ) -> None:
        check_arguments("regularizers.orthogonal", Orthogonal, locals())
        super().__init__(every)
        self.weight, self.network = weight, network

    def measure(self, batch: WeightBatch) -> Tensor:
        terms = [
            _off_diagonal(weight.flatten(1) * gain)
            for name, layer, weight, gain in layers_with_weights(batch.network)
            if not isinstance(layer, nn.Embedding) and name.rpartition(".")[2] not in _LABEL_EMBEDDINGS
        ]
        return torch.stack(terms).sum().expand(batch.count)

    def combine(self, terms: Tensor) -> Tensor:
        return self.weight * terms.mean()


def _off_diagonal(weight: Tensor) -> Tensor:
    products = weight @ weight.t()
    return (products - products.diag().diag()).square().sum()
