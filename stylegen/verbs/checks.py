"""Rules that span several settings of a training. They run first, before anything is built or written."""

import torch
from omegaconf import DictConfig, OmegaConf

from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.errors import UserError, unknown_choice
from stylegen.metrics.evaluate import check_metrics
from stylegen.training.callbacks.wandb import check_mode
from stylegen.verbs.fidelity import metric_options

_LEAST = {
    "total_kimg": 0.001,
    "batch_size": 1,
    "sample_count": 1,
    "checkpoints": 1,
    "threads": 1,
    "data.workers": 0,
    "trainer.devices": 1,
    "trainer.num_nodes": 1,
    "fidelity.batch_size": 1,
    "max_hours": 0,
    "log_every_kimg": 0,
    "sample_every_kimg": 0,
    "snapshot_every_kimg": 0,
    "checkpoint_every_kimg": 0,
    "fidelity.every_kimg": 0,
}
_FEW_FEATURE_MAPS = 8


def check_settings(config: DictConfig, dataset: ImageDataset) -> None:
    """Raise UserError for the first rule that `config` breaks."""
    for key, least in _LEAST.items():
        value = OmegaConf.select(config, key)
        if value is not None and not value >= least:  # NaN fails too
            raise UserError(f"{key}={value}", rule=f"it is at least {least}", fix=f"Use {key}={least} or more")
    for key in ("style_mixing_prob", "w_avg_decay"):
        if not 0 <= config[key] <= 1:
            raise UserError(f"{key}={config[key]}", rule="it is a share from 0 to 1", fix=f"Use {key}=0.9, say")
    _check_batch(config, dataset)
    check_accelerator(config.trainer.accelerator, config.trainer.devices)
    check_mode(config.logger.mode)
    if config.fidelity.metrics:
        fidelity, options = config.fidelity, metric_options(config.fidelity)
        check_metrics(fidelity.metrics, fidelity.num_samples, dataset, weights=fidelity.weights, options=options)


def notices(config: DictConfig, dataset: ImageDataset) -> list[str]:
    """What the user should know before the training, one sentence each."""
    found = dataset.notices()
    maps = config.generator.channel_base // dataset.spec.resolution
    if config.data.path != OPENMOJI and maps < _FEW_FEATURE_MAPS:
        found.append(
            f"generator.channel_base={config.generator.channel_base} leaves {maps} feature maps at "
            f"{dataset.spec.resolution} px; experiment=none starts from StyleGAN2's own settings"
        )
    return found


def num_processes(config: DictConfig) -> int:
    """Processes that share the batch."""
    return config.trainer.devices * config.trainer.num_nodes


def _check_batch(config: DictConfig, dataset: ImageDataset) -> None:
    """The batch fits the data, and its shares fit minibatch statistics and shrunk regularisers.

    Every share holds whole groups, or the training would not be that of one process with the same batch.
    """
    batch, processes = config.batch_size, num_processes(config)
    if batch > len(dataset):
        raise UserError(
            f"batch_size={batch}",
            rule=f"{dataset.name} has {len(dataset)} pictures, fewer than one batch",
            fix=f"Use batch_size={len(dataset)} or less, or more pictures",
        )
    units = {"trainer.devices * trainer.num_nodes": processes}
    if config.discriminator.mbstd_num_channels:
        units["discriminator.mbstd_group_size"] = processes * min(config.discriminator.mbstd_group_size, batch)
    for name, regularizer in (config.regularizers or {}).items():
        if processes > 1 and regularizer.get("batch_shrink", 1) > 1:
            units[f"regularizers.{name}.batch_shrink"] = processes * regularizer.batch_shrink
    for setting, unit in units.items():
        if unit < 1 or batch % unit:
            raise UserError(
                f"a discriminator batch of batch_size={batch} on {processes} process(es)",
                rule=f"{setting}={OmegaConf.select(config, setting) if '*' not in setting else processes} "
                f"wants a multiple of {unit}",
                fix=f"Use batch_size={max(unit, batch - batch % max(unit, 1))}, or another {setting}",
            )


def check_accelerator(accelerator: str, devices: int) -> None:
    """Raise UserError where the machine lacks what `trainer` asks for."""
    mps = int(torch.backends.mps.is_available())
    counts = {"cpu": devices, "gpu": torch.cuda.device_count() or mps, "cuda": torch.cuda.device_count(), "mps": mps}
    if accelerator != "auto" and accelerator not in counts:
        raise unknown_choice("trainer.accelerator", accelerator, ["auto", *counts])
    found = (counts["gpu"] or devices) if accelerator == "auto" else counts[accelerator]
    if found < devices:
        raise UserError(
            f"trainer.accelerator={accelerator} trainer.devices={devices}",
            rule=f"this machine has {found} of them",
            fix="Use fewer devices" if found else "Use trainer.accelerator=auto or cpu",
        )
