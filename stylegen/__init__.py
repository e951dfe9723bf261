"""stylegen: train, sample and evaluate StyleGANs in PyTorch, without extensions to compile."""

__version__ = "0.1.0"
