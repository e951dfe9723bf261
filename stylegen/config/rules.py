"""What several training settings give together, and rules across them, checked before anything is written."""

import os
from typing import Any
from weakref import WeakKeyDictionary

import torch

from stylegen.config.loss_rules import check_loss
from stylegen.config.regularizer_rules import check_regularizers
from stylegen.config.sections import Arguments
from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.distributed import choose_device, has_own_gpu, started_by_torchrun
from stylegen.errors import UserError
from stylegen.images import MAX_FIGURE_PIXELS
from stylegen.layers.conditioning import CONDITIONINGS
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.requirements import check_network
from stylegen.networks import GENERATORS
from stylegen.regularizers import GRADIENT_REGULARIZERS
from stylegen.training.compilation import missing_compiler
from stylegen.training.growth import Growth
from stylegen.training.lightning.slurm import slurm_environment
from stylegen.training.observers.wandb import check_logger
from stylegen.training.precision import Precision

_FEW_FEATURE_MAPS = 8
ON = (True, "true")  # of a setting that is auto, true or false
_WHOLE: WeakKeyDictionary[ImageDataset, ImageDataset] = WeakKeyDictionary()


def check_settings(config: TrainSettings, dataset: ImageDataset) -> None:
    """Raise UserError for the first rule that `config` breaks."""
    batches, setting = [config.batch_size], "batch_size"
    if config.growth is not None:
        growth = _growth(config, config.growth, dataset)
        if config.growth.batch_sizes:  # growth may end at the data's resolution first
            batches, setting = growth.batch_sizes[: growth.doublings + 1], "growth.batch_sizes"
    for batch in dict.fromkeys(batches):
        _check_batch_norm(config, batch, setting)
        _check_batch(config, dataset, batch, setting)
    check_loss(config, dataset)
    _check_sample_grid(config.sample_count, dataset.spec.resolution)
    check_accelerator(config.trainer.accelerator, config.trainer.devices)
    _check_launcher(config)
    check_regularizers(config)
    networks = {"generator": config.generator, "discriminator": config.discriminator}
    clamps = {f"{net}.conv_clamp": network.arguments.get("conv_clamp", "missing") for net, network in networks.items()}
    Precision(config.precision, config.half_resolutions).check(device_type(config.trainer.accelerator), clamps)
    _check_compile(config)
    check_logger(config.logger.mode, config.logger.project)
    if config.evaluation.metrics:
        network = GENERATORS[config.generator.name]
        check_network(config.evaluation.metrics, config.evaluation.noise, network, prefix="evaluation.")
        training_evaluation(config, dataset).check(prefix="evaluation.")


def notices(config: TrainSettings, dataset: ImageDataset) -> list[str]:
    """Notes for the user before training, one sentence each."""
    found = dataset.notices()
    maps = config.generator.channel_base // dataset.spec.resolution
    if config.data.path != OPENMOJI and maps < _FEW_FEATURE_MAPS:
        found.append(
            f"generator.channel_base={config.generator.channel_base} leaves {maps} feature maps at "
            f"{dataset.spec.resolution} px; without experiment= the settings fit your images"
        )
    own = ["regularizers.path_length"] * ("path_length" in config.regularizers)
    own += [f"style_mixing_prob={config.style_mixing_prob:g}"] * (config.style_mixing_prob > 0)
    if config.generator.name == "stylegan3" and own:
        found.append(f"{' and '.join(own)}: StyleGAN3 is published without; preset=stylegan3 leaves them out")
    if config.loss.name == "wasserstein" and not (GRADIENT_REGULARIZERS | {"r1", "r2"}) & config.regularizers.keys():
        found.append(
            "loss=wasserstein without a regularizer that limits the gradient norm of D, such as regularizers=wgan_gp"
        )
    return found


def num_processes(config: Any) -> int:
    """Number of processes that share the batch."""
    return config.trainer.devices * config.trainer.num_nodes


def training_evaluation(settings: TrainSettings, dataset: ImageDataset) -> Evaluation:
    """Measures against all images of the dataset, even if the training uses a part of them."""
    reals = dataset if settings.data.max_images is None else _whole(settings, dataset)
    return Evaluation(
        settings.evaluation.metrics,
        settings.evaluation.num_samples,
        reals,
        settings.evaluation,
        keep_extractors=False,  # training needs the memory
    )


def _whole(settings: TrainSettings, dataset: ImageDataset) -> ImageDataset:
    """All images of the training's data, opened once."""
    if dataset not in _WHOLE:
        arguments = {name: value for name, value in settings.data.items() if name != "workers"}
        _WHOLE[dataset] = ImageDataset(**arguments | {"max_images": None, "cache": "auto"})
    return _WHOLE[dataset]


def _check_sample_grid(count: int, resolution: int) -> None:
    most = MAX_FIGURE_PIXELS // resolution**2
    if count > most:
        raise UserError(
            f"sample_count={count}",
            rule=f"the limit is {MAX_FIGURE_PIXELS / 1e6:,.0f} million pixels: {most} images of {resolution} px",
            fix=f"Use sample_count={most} or less",
        )


def _check_launcher(config: TrainSettings) -> None:
    """torchrun or srun must have started the configured number of processes; otherwise each would train alone."""
    devices, num_nodes = config.trainer.devices, config.trainer.num_nodes
    in_slurm = slurm_environment(devices, num_nodes) is not None
    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE", "1")
    # Under SLURM, RANK may be ours from an earlier run of a sweep.
    if rank is not None and size != "1" and not in_slurm and not started_by_torchrun():
        raise UserError(
            f"WORLD_SIZE={size} RANK={rank} in the environment",
            rule="processes are started by torchrun, srun or trainer.devices, and this one was started by none of them",
            fix="Start with torchrun, or unset both and use trainer.devices=N",
        )
    if num_nodes > 1 and not in_slurm and not started_by_torchrun():
        raise UserError(
            f"trainer.num_nodes={num_nodes}",
            rule="the processes of several machines are started by torchrun or srun",
            fix=f"Start with torchrun --nnodes={num_nodes} --nproc-per-node={devices}, or use trainer.num_nodes=1",
        )
    started = int(os.environ["WORLD_SIZE"]) if started_by_torchrun() else num_processes(config)
    if started != num_processes(config):
        raise UserError(
            f"trainer.devices={devices} trainer.num_nodes={num_nodes}",
            rule=f"torchrun has started {started} processes",
            fix="Use torchrun's numbers: trainer.devices=NPROC_PER_NODE trainer.num_nodes=NNODES",
        )


def _growth(config: TrainSettings, arguments: Arguments, dataset: ImageDataset) -> Growth:
    """The schedule, which must reach the data's resolution within the run."""
    growth = Growth(dataset.spec.resolution, config.batch_size, **arguments)
    if growth.doublings and round(config.total_kimg * 1000) <= growth.grown_at:
        raise UserError(
            f"total_kimg={config.total_kimg:g}",
            rule=f"growth takes {growth.grown_at / 1000:g} kimg to reach the data's {dataset.spec.resolution} px",
            fix="Use a larger total_kimg, or smaller growth.stable_kimg and growth.fade_kimg",
        )
    return growth


def obstacle_to_compile(config: TrainSettings) -> str | None:
    """Why a training with these settings cannot be compiled on this machine; None if it can."""
    if config.growth is not None:
        return "shapes and constants change while the networks grow"
    if config.augment is not None:
        return "shapes and constants change with the strength of augmentation"
    if config.blur.sigma > 0:
        return "shapes and constants change while the blur fades out"
    return missing_compiler(device_type(config.trainer.accelerator))


def _check_compile(config: TrainSettings) -> None:
    if config.compile in ON and (obstacle := obstacle_to_compile(config)) is not None:
        raise UserError("compile=true", rule=obstacle, fix="Use compile=auto or compile=false")


def _check_batch_norm(config: TrainSettings, batch: int, setting: str) -> None:
    """Batch normalization needs the whole batch of a step, and two images or more per process."""
    conditioning = CONDITIONINGS.get(config.generator.arguments.get("conditioning", ""))
    if conditioning is None or not conditioning.needs_batch:
        return
    share = batch // num_processes(config)
    if config.batch_per_device is not None and config.batch_per_device < share:
        raise UserError(
            f"batch_per_device={config.batch_per_device} generator.conditioning={config.generator.conditioning}",
            rule="batch normalization needs the whole batch at once, not in parts",
            fix="Omit batch_per_device, or use generator.conditioning=adain",
        )
    if share < 2:
        raise UserError(
            f"{setting}={batch} on {num_processes(config)} process(es) "
            f"generator.conditioning={config.generator.conditioning}",
            rule="batch normalization needs at least two images per process",
            fix=f"Use {setting}={2 * num_processes(config)} or more, or generator.conditioning=adain",
        )


def _check_batch(config: TrainSettings, dataset: ImageDataset, batch: int, setting: str) -> None:
    """The batch must fit the data, and its parts must hold whole groups of minibatch statistics and regularizers.

    Otherwise the result would depend on the number of processes and parts.
    """
    processes = num_processes(config)
    if not 1 <= batch <= len(dataset):
        raise UserError(
            f"{setting}={batch}",
            rule=f"a batch has at least one image, and {dataset.name} has {len(dataset)}",
            fix=f"Use {setting}={len(dataset)} or less, or more images",
        )
    share = max(min(config.batch_per_device or batch, batch // processes), 1)
    if batch % processes == 0 and batch % (processes * share):
        raise UserError(
            f"batch_per_device={share}",
            rule=f"{setting}={batch} on {processes} process(es) is not a multiple of it",
            fix=f"Use a divisor of {batch // processes}, or another {setting}",
        )
    parts = batch // share
    units = {"trainer.devices * trainer.num_nodes": (processes, processes)}
    if config.discriminator.arguments.get("mbstd_num_channels"):
        group = config.discriminator.mbstd_group_size
        units["discriminator.mbstd_group_size"] = (group, parts * min(group, batch))
    for name, regularizer in config.regularizers.items():
        if parts > 1 and regularizer.get("batch_shrink", 1) > 1:
            units[f"regularizers.{name}.batch_shrink"] = (regularizer.batch_shrink, parts * regularizer.batch_shrink)
    for cause, (value, unit) in units.items():
        if unit < 1 or batch % unit:
            raise UserError(
                f"a discriminator batch of {setting}={batch} in {parts} part(s) on {processes} process(es)",
                rule=f"{cause}={value} needs a multiple of {unit}",
                fix=f"Use {setting}={max(unit, batch - batch % max(unit, 1))}, or another {cause}",
            )


def device_type(accelerator: str) -> str:
    """ "cpu", "cuda" or "mps" for a valid `trainer.accelerator`."""
    if accelerator in ("auto", "gpu"):
        return choose_device("auto").type
    return accelerator


def check_accelerator(accelerator: str, devices: int) -> None:
    """Raise UserError for devices that this machine does not have."""
    mps = int(torch.backends.mps.is_available())
    cuda = devices if has_own_gpu() else torch.cuda.device_count()
    counts = {"cpu": devices, "gpu": cuda or mps, "cuda": cuda, "mps": mps}
    found = (counts["gpu"] or devices) if accelerator == "auto" else counts[accelerator]
    if found < devices:
        raise UserError(
            f"trainer.accelerator={accelerator} trainer.devices={devices}",
            rule=f"this machine has {found}",
            fix="Use fewer devices" if found else "Use trainer.accelerator=auto or cpu",
        )
