"""What every regulariser shares: the records it is handed, which network it trains, and how often."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from stylegen.errors import UserError


@dataclass(frozen=True)
class CriticBatch:
    """For regularisers of the discriminator.

    Attributes:
        critic: pictures [N, C, H, W], labels -> logits [N, 1]; augmentation, where there is any, is inside.
        real: pictures in [-1, 1]; labels: [N, num_classes].
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    real: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SynthesisBatch:
    """For regularisers of the generator.

    Attributes:
        ws: [N, L, D], part of the graph of `images`.
        images: [N, C, H, W], synthesised from `ws`.
        direction: standard normal noise, as `images`.
        mean_over_ranks: averages a scalar over the processes that share the batch, differentiably.
    """

    ws: Tensor
    images: Tensor
    direction: Tensor
    mean_over_ranks: Callable[[Tensor], Tensor] = lambda value: value


class Regularizer(nn.Module):
    """A record in, a scalar out. State that training must keep (a moving mean) is a buffer.

    Args:
        every: the term is evaluated at every n-th training step and then counts n-fold (lazy regularisation,
            Karras et al. 2020b, section 3.1); 1 adds it to the main loss.
        batch_shrink: the term sees the first 1 / n of the batch.

    Attributes:
        network: "G" or "D": the one whose parameters the term trains, which also decides the record.
    """

    network: ClassVar[str]

    def __init__(self, every: int, batch_shrink: int = 1) -> None:
        super().__init__()
        for setting, value in (("every", every), ("batch_shrink", batch_shrink)):
            if value < 1:
                raise UserError(
                    f"{setting}={value}", rule="a regulariser's interval and shrink are at least 1", fix="Use 1 or more"
                )
        self.every, self.batch_shrink = every, batch_shrink
