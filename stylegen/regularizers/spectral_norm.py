"""Spectral normalization of the discriminator (Miyato et al. 2018, arXiv 1802.05957, section 2.1 and algorithm 1)."""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from stylegen import randomness
from stylegen.bounds import Range, check_arguments
from stylegen.regularizers.regularizer import Constraint
from stylegen.regularizers.scaled_weights import layers_with_weights

_EPS = 1e-12
_FIRST = 15  # iterations for initial weights


class SpectralNorm(Constraint):
    """W / sigma(W) in place of W in every layer of D, with W [out, in * k * k] and sigma the largest singular value.

    W is the weight that the layer applies, after the scale of the equalized learning rate. sigma = || W^T u ||, with u
    from power iterations at the start of each training step, so the result does not depend on the number of forward
    passes, ranks and micro-batches. The gradient with respect to W includes d sigma / dW (Eq. 12), for constant u.

    Args:
        iterations: power iterations per training step.

    Raises:
        UserError: if a value is out of bounds.

    The names in D's state dict stay: `weight` is the weight before normalization. The buffer `u` [sum of out] holds the
    left singular vectors of all layers in order.
    """

    network = "D"
    u: Tensor

    def __init__(self, iterations: Annotated[int, Range(1, 100)] = 1) -> None:
        check_arguments("regularizers.spectral_norm", SpectralNorm, locals())
        super().__init__()
        self.iterations = iterations
        self.register_buffer("u", torch.zeros(0))
        self._layers: list[_Normalized] = []

    def attach(self, network: nn.Module) -> None:
        vectors: list[Tensor] = []
        for name, layer, weight, gain in list(layers_with_weights(network)):
            begin = sum(map(len, vectors))
            vectors.append(randomness.normal(0, f"spectral_norm/{name}", torch.tensor([0]), (len(weight),))[0])
            self._layers.append(_Normalized(self, layer, gain, slice(begin, begin + len(weight))))
        self.u = torch.cat(vectors).to(next(network.parameters()))
        for normalized in self._layers:
            parametrize.register_parametrization(normalized.layer[0], "weight", normalized)
            _keep_names(normalized.layer[0])
        self._iterate(_FIRST)

    def begin_step(self, images_seen: int) -> None:
        self._iterate(self.iterations if images_seen else _FIRST)  # `init` has replaced the weights

    @torch.no_grad()
    def _iterate(self, times: int) -> None:
        for normalized in self._layers:
            weight, u = normalized.original.flatten(1), self.u[normalized.rows]
            for _ in range(times):
                v = F.normalize(weight.t() @ u, dim=0, eps=_EPS)
                u = F.normalize(weight @ v, dim=0, eps=_EPS)
            self.u[normalized.rows] = u


class _Normalized(nn.Module):
    """weight -> weight / (g * sigma(weight)), which the layer multiplies by g.

    Args:
        owner: holds u, of which `rows` are the layer's.
        layer: whose weight is normalized.
        gain: g.
    """

    def __init__(self, owner: SpectralNorm, layer: nn.Module, gain: float, rows: slice) -> None:
        super().__init__()
        self.owner, self.layer = (owner,), (layer,)  # in tuples: not submodules
        self.gain, self.rows = gain, rows

    @property
    def original(self) -> Tensor:
        """The weight before normalization."""
        layer: Any = self.layer[0]
        weight: Tensor = layer.parametrizations.weight.original
        return weight

    def forward(self, weight: Tensor) -> Tensor:
        u = self.owner[0].u[self.rows].clone()  # saved for the gradient; the next step changes u in place
        sigma = (weight.flatten(1).t() @ u).norm().clamp(min=_EPS)
        return weight / (sigma * self.gain)


def _keep_names(layer: nn.Module) -> None:
    """Save and load the weight before normalization as `weight`."""
    new, old = "weight", "parametrizations.weight.original"

    def save(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        state[prefix + new] = state.pop(prefix + old)

    def load(module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        if prefix + new in state:
            state[prefix + old] = state.pop(prefix + new)

    layer.register_state_dict_post_hook(save)
    layer.register_load_state_dict_pre_hook(load)
