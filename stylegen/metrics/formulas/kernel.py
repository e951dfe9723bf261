"""Kernel inception distance (Binkowski et al. 2018, arXiv 1801.01401), unbiased for any number of images."""

from torch import Tensor

from stylegen import randomness

OFFICIAL_SUBSETS, OFFICIAL_SUBSET_SIZE, OFFICIAL_MAX_REALS = 100, 1000, 1_000_000


def official_kernel_distance(fakes: Tensor, reals: Tensor) -> float:
    """Mean of `squared_mmd` with StyleGAN2-ADA's settings: 100 keyed subsets of 1,000 images, at most 10^6 reals."""
    a, b = fakes, reals[:OFFICIAL_MAX_REALS]
    size = min(OFFICIAL_SUBSET_SIZE, len(a), len(b))
    total = 0.0
    for index in range(OFFICIAL_SUBSETS):
        rows = [randomness.permutation(len(x), 0, f"metrics/kid/{k}", index)[:size] for k, x in enumerate((a, b))]
        total += squared_mmd(a[rows[0]], b[rows[1]])
    return total / OFFICIAL_SUBSETS


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """The unbiased estimate of MMD^2 (section 4) with the kernel k(x, y) = (x.y / d + 1)^3, in float64:

        sum_{i != j} k(x_i, x_j) / m (m - 1) + sum_{i != j} k(y_i, y_j) / m (m - 1) - 2 sum_ij k(x_i, y_j) / m^2

    Args:
        x, y: [m, d] each, m at least 2.
    """
    x, y = x.double(), y.double()
    m, d = x.shape

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / d + 1) ** 3

    within = sum((k.sum() - k.diagonal().sum()) for k in (kernel(x, x), kernel(y, y)))
    return float(within / (m * (m - 1)) - 2 * kernel(x, y).sum() / m**2)
