"""Losses, heads and labels that do not fit together: one message with the settings and what to change."""

from pathlib import Path

import pytest

from stylegen.config.compose import compose_config
from stylegen.config.rules import check_settings
from stylegen.errors import UserError
from stylegen.runs.build import build_dataset, build_step
from tests.support.datasets import encode, write_folder
from tests.support.runs import refused
from tests.support.tiny import TINY_RUN

LABELS = "data.use_labels=true"
ATTRIBUTES = "loss.targets=attributes"
GROWTH = ["growth=stylegan1", "growth.batch_sizes=[8]", "total_kimg=25000"]
STYLEGAN1 = ["generator=stylegan1", "discriminator=stylegan1"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss=began"], r"loss=began discriminator\.head=auto.*Use discriminator\.head=autoencoder"),
        (["loss=began", "discriminator.head=scalar"], r"loss=began discriminator\.head=scalar"),
        (
            ["loss=auxiliary_classifier", LABELS],
            r"loss=auxiliary_classifier discriminator\.head=auto.*Use discriminator\.head=classes",
        ),
        (
            ["loss=semi_supervised", "discriminator.head=classes", LABELS],
            r"discriminator\.head=classes:.*Use discriminator\.head=classes_plus_fake",
        ),
        (
            ["loss=auxiliary_classifier", "discriminator.head=classes"],
            r"discriminator\.head=classes data\.use_labels=false loss=auxiliary_classifier.*Use data\.use_labels=true",
        ),
        (
            ["loss=semi_supervised", "discriminator.head=classes_plus_fake"],
            r"discriminator\.head=classes_plus_fake data\.use_labels=false loss=semi_supervised",
        ),
        (["discriminator.head=projection"], r"discriminator\.head=projection data\.use_labels=false"),
        (["discriminator.head=autoencoder"], r"loss=nonsaturating discriminator\.head=autoencoder.*Use loss=began"),
        ([LABELS, "discriminator.head=classes"], r"loss=nonsaturating discriminator\.head=classes.*auxiliary_class"),
        (
            [*STYLEGAN1, *GROWTH, "loss=began", "discriminator.head=autoencoder"],
            r"discriminator\.head=autoencoder with growth",
        ),
        ([LABELS, "data.labeled=30"], r"data\.labeled=30 discriminator\.head=auto.*Use loss=semi_supervised"),
        (
            ["loss=auxiliary_classifier", "discriminator.head=classes", LABELS, ATTRIBUTES, "data.labeled=30"],
            r"data\.labeled=30 loss\.targets=attributes",
        ),
    ],
)
def test_a_combination_that_does_not_fit_is_refused(overrides: list[str], message: str) -> None:
    config = compose_config("train", [*TINY_RUN, *overrides])
    with pytest.raises(UserError, match=message):
        check_settings(config, build_dataset(config))


def test_status_2_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", *TINY_RUN, "loss=began", f"output_dir={tmp_path / 'run'}"]
    assert "Use discriminator.head=autoencoder" in refused(arguments, tmp_path, capsys)


def test_attributes_need_their_own_targets(tmp_path: Path) -> None:
    note = {"labels": [[f"{i}.png", [float(i % 2), 1.0, 0.5]] for i in range(8)]}
    folder = write_folder(tmp_path / "data", {f"{i}.png": encode(i, (16, 16)) for i in range(8)}, note)
    overrides = ["loss=auxiliary_classifier", "discriminator.head=classes", LABELS, "data=images"]
    overrides += [f"data.path={folder}", "data.max_images=null", "experiment=openmoji"]
    config = compose_config("train", [*TINY_RUN, *overrides])
    with pytest.raises(UserError, match=r"several attributes.*Use loss=auxiliary_classifier loss\.targets=attributes"):
        check_settings(config, build_dataset(config))
    config = compose_config("train", [*TINY_RUN, *overrides, "loss.targets=attributes"])
    check_settings(config, build_dataset(config))


@pytest.mark.parametrize(
    "overrides",
    [
        ["loss=began", "discriminator.head=autoencoder", "discriminator.mbstd_num_channels=0"],
        ["loss=auxiliary_classifier", "loss.adversarial=hinge", "discriminator.head=classes", LABELS],
        ["loss=semi_supervised", "discriminator.head=classes_plus_fake", LABELS, "data.labeled=30"],
        ["loss=hinge", "discriminator.head=projection", LABELS, "discriminator.attention_resolution=8"],
        ["loss=wasserstein", "discriminator.dropout=[0.2,0.5]"],
        [*STYLEGAN1, "loss=gan_qp", "loss.distance=l2", "regularizers=r1"],
    ],
)
def test_combinations_that_fit_train(overrides: list[str]) -> None:
    """Two steps; the second one without lazy regularizers."""
    config = compose_config("train", [*TINY_RUN, *overrides])
    dataset = build_dataset(config)
    check_settings(config, dataset)
    step = build_step(config, dataset)
    for start in (0, 8):
        step(*dataset.batch(range(start, start + 8)))
    values = step.statistics.collect()
    assert values["grad/nonfinite"] == 0
    assert {"loss/G", "loss/D"} <= values.keys()
