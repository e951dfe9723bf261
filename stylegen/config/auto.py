"""`auto=true`: StyleGAN2-ADA's settings by resolution and number of devices (its train.py, cfg=auto).

They replace constructor defaults only, not values from the command line or a YAML file. `--cfg job` prints them, and
`config.yaml` records them.
"""

from collections.abc import Collection
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stylegen.config.rules import device_type, num_processes
from stylegen.data import openmoji
from stylegen.data.dataset import OPENMOJI
from stylegen.data.decoding import header_of
from stylegen.data.sources import open_source


def auto_settings(
    resolution: int, devices: int, batch_size: int | None = None, half: bool = False, transfer: bool = False
) -> dict[str, Any]:
    """Settings by dotted key: a first guess. R1's gamma is worth tuning.

    batch  = max(min(devices * min(4096 / resolution, 32), 64), devices)
    group  = min(batch / devices, 4), of the minibatch statistics
    gamma  = 0.0002 * resolution^2 / batch
    EMA    = batch * 10 / 32 kimg
    widths = 32768 / r feature maps from 512 px on, half as many below; learning rates 0.002 at 1024 px and above,
             0.0025 below; two mapping layers

    If the number of devices is not a power of two, the batch is rounded down to a multiple of devices * group.

    Args:
        resolution: side of the images in pixels.
        devices: processes that share the batch.
        batch_size: overrides the derived one; gamma, EMA and group follow from it (unlike StyleGAN2-ADA).
        half: use float16, as the published settings do.
        transfer: training starts from trained weights; augmentation then adapts five times as fast.
    """
    batch = max(min(devices * min(4096 // resolution, 32), 64), devices) if batch_size is None else batch_size
    group = max(min(batch // devices, 4), 1)
    if batch_size is None:
        batch -= batch % (devices * group)
    base = 32768 if resolution >= 512 else 16384
    rate = 0.002 if resolution >= 1024 else 0.0025
    settings: dict[str, Any] = {
        "batch_size": batch,
        "discriminator.mbstd_group_size": group,
        "generator.mapping_layers": 2,
        "generator.channel_base": base,
        "discriminator.channel_base": base,
        "generator.conv_clamp": 256.0,
        "discriminator.conv_clamp": 256.0,
        "optimizer.g_lr": rate,
        "optimizer.d_lr": rate,
        "regularizers.r1.gamma": 0.0002 * resolution**2 / batch,
        "ema.kimg": batch * 10 / 32,
        "w_avg_decay": 0.995,
    }
    if half:
        # the published code keeps 4 px in float32
        settings |= {"precision": "fp16", "half_resolutions": min(4, resolution.bit_length() - 3)}
    if transfer:
        settings["augment.speed_kimg"] = 100.0
    return settings


def apply_auto(config: DictConfig, given: Collection[str]) -> None:
    """Write `auto_settings` into `config`, except for keys in `given` and keys that it does not have.

    Does nothing if `data.path` is missing or a number is out of range; both are refused later.

    Raises:
        UserError: data that cannot be opened.
    """
    resolution, devices = _resolution(config.data), num_processes(config)
    batch_size = config.batch_size if "batch_size" in given else None
    if resolution is None or min(resolution, devices, 1 if batch_size is None else batch_size) < 1:
        return
    clamped = all("conv_clamp" in config[network] for network in ("generator", "discriminator"))
    settings = auto_settings(
        resolution,
        devices,
        batch_size,
        half=clamped and device_type(config.trainer.accelerator) == "cuda",
        transfer=config.init is not None,
    )
    for key, value in settings.items():
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if key not in given and node is not None and leaf in node:
            node[leaf] = value


def _resolution(data: DictConfig) -> int | None:
    """The dataset's resolution, from the header of its first image; None without `data.path` or images."""
    if data.resolution is not None:
        return int(data.resolution)
    if OmegaConf.is_missing(data, "path"):
        return None
    if data.path == OPENMOJI:
        return openmoji.DEFAULT_RESOLUTION
    source = open_source(data.path)
    keys = source.keys()
    width = header_of(source, keys[0]).width if keys else None  # an empty dataset is refused later
    source.close()
    return width
