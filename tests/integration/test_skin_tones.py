"""The skin tone classifier (`python -m tests.support.skin_tones RUN`) recognises real portraits."""

import torch

from tests.support.skin_tones import held_out_accuracy, learn, portraits


def test_the_judge_is_right_about_real_portraits_and_does_not_mind_outlines() -> None:
    images, classes, names = portraits(32)
    assert len(names) == 6
    assert held_out_accuracy(images, classes) > 0.94
    judge = learn(images, classes)
    flat = judge.colors.round().to(torch.uint8)[:, :, None, None].expand(-1, 3, 32, 32).clone()
    flat[:, :, ::3] = 0  # a third of each image is black
    assert judge(flat).tolist() == list(range(6))
