"""Known answers and requests for every version of the random number generator."""

import torch

from stylegen.randomness import Request

# Known-answer vectors of philox4x32-10, published by its authors: counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


# Odd and even counts, counts of fewer and of many words, none, shapes, bounds.
SHAPES = [(), (1,), (2,), (0,), (3, 5), (64,), (1, 32, 32), (3, 33, 31)]
REQUESTS = {f"normal{shape}": Request("normal", shape) for shape in SHAPES}
REQUESTS |= {f"uniform{shape}": Request("uniform", shape) for shape in SHAPES}
REQUESTS |= {f"integers{high}": Request("integers", (5,), high) for high in (1, 6, 2**31 - 1)}
INDICES = torch.tensor([0, 5, 11, 2**32 - 1, 2**32 + 7, 2**62 + 3])
