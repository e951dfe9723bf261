"""The weights of a network as its layers apply them, after the scale of the equalized learning rate."""

from collections.abc import Iterator

from torch import Tensor, nn


def layers_with_weights(network: nn.Module) -> Iterator[tuple[str, nn.Module, Tensor, float]]:
    """Name, layer, weight and g of every layer that multiplies by g * weight, a matrix or kernel.

    g is 1 for a layer without the scale, but 1 / sqrt(fan_in) for a modulated convolution, whose demodulation cancels
    every scale.
    """
    for name, layer in network.named_modules():
        weight = getattr(layer, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1:
            default = weight[0].numel() ** -0.5 if hasattr(layer, "affine") else 1.0
            yield name, layer, weight, getattr(layer, "weight_gain", default)


def scaled_parameters(network: nn.Module) -> Iterator[tuple[nn.Parameter, float]]:
    """Every parameter and its scale: layers apply `weight` * `weight_gain`, `bias` * `bias_gain`."""
    for layer in network.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            yield parameter, getattr(layer, f"{name}_gain", 1.0)
