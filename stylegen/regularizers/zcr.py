"""Latent consistency regularization (Zhao et al. 2021, arXiv 2002.04724): a term for each network."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from stylegen.bounds import Count, Deviation, Interval, Weight, check_arguments
from stylegen.randomness import Request
from stylegen.regularizers.regularizer import CriticBatch, Regularizer, SynthesisBatch

PERTURBED = "fake/perturbed"


class ZCRDiscriminator(Regularizer):
    """weight * E (D(G(z)) - D(G(z + n)))^2, n ~ N(0, sigma^2): D is insensitive to small changes of the latent.

    Args:
        weight: factor of the term, lambda_dis.
        sigma: standard deviation of n.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    sources = ("fake",)
    views = (PERTURBED,)

    def __init__(self, weight: Weight = 5.0, sigma: Deviation = 0.03, every: Interval = 1) -> None:
        check_arguments("regularizers.zcr_d", ZCRDiscriminator, locals())
        super().__init__(every)
        self.weight, self.sigma = weight, sigma

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return {"noise": Request("normal", (z_dim,))}

    def measure(self, batch: CriticBatch) -> Tensor:
        assert batch.z is not None
        assert batch.resynthesize is not None
        images = batch.resynthesize(batch.z + self.sigma * batch.random["noise"])
        return (batch.outputs("fake").logits - batch.outputs_for(images, PERTURBED).logits)[:, 0].square()

    def combine(self, distances: Tensor) -> Tensor:
        return self.weight * distances.mean()


class ZCRGenerator(Regularizer):
    """-weight * E mean (G(z) - G(z + n))^2, n ~ N(0, sigma^2), mean over pixels: G responds to changes of the latent.

    Labels, style mixing and noise inputs of the two images are equal.

    Args:
        weight: factor of the term, lambda_gen.
        sigma: standard deviation of n.
        every, batch_shrink: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "G"

    def __init__(
        self, weight: Weight = 0.5, sigma: Deviation = 0.03, every: Interval = 1, batch_shrink: Count = 1
    ) -> None:
        check_arguments("regularizers.zcr_g", ZCRGenerator, locals())
        super().__init__(every, batch_shrink)
        self.weight, self.sigma = weight, sigma

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return {"noise": Request("normal", (z_dim,))}

    def measure(self, batch: SynthesisBatch) -> Tensor:
        assert batch.z is not None
        assert batch.resynthesize is not None
        other = batch.resynthesize(batch.z + self.sigma * batch.random["noise"])
        return (batch.images - other).square().mean(dim=[1, 2, 3])

    def combine(self, distances: Tensor) -> Tensor:
        return -self.weight * distances.mean()
