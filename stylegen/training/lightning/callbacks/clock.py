"""When is it time: intervals in images, whatever the batch size."""


def is_due(before: int, after: int, every: int, total: int) -> bool:
    """True when a multiple of `every` images lies in (before, after], and always when the run ends.

    Args:
        before, after: images seen before and after a step.
        every: interval in images; 0 for the end only.
        total: images at which the run ends.
    """
    return after >= total or (every > 0 and after // every > before // every)
