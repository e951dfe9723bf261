"""Orthogonal wavelets: the low-pass filters of Daubechies' least asymmetric family.

h is orthogonal to its own shifts by even numbers, sum_k h_k h_{k+2n} = delta_n, so that up-sampling by two and
down-sampling with the same taps is the identity; and it has as many vanishing moments as half its length, which no
other filter of the length has. `tests/augment/test_wavelets.py` checks both.
"""

import math

_ROOT3 = math.sqrt(3)
# Scaled to sum one. Two vanishing moments (Daubechies 1988, "Orthonormal bases of compactly supported wavelets").
SYM2: tuple[float, ...] = tuple(c / 8 for c in (1 + _ROOT3, 3 + _ROOT3, 3 - _ROOT3, 1 - _ROOT3))
# Six vanishing moments, the nearest to symmetric of that length (Daubechies 1992, "Ten Lectures on Wavelets", 8.1.1);
# its centre is tap 5.
SYM6: tuple[float, ...] = tuple(
    c / math.sqrt(2)
    for c in (
        *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
        *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
        *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
    )
)
