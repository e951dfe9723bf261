"""stylegen: train, sample and measure StyleGANs on today's PyTorch, with nothing to compile."""

__version__ = "0.1.0"
