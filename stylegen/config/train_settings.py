"""The settings of `train`: one row each, with default, type, bounds, help, and whether a resumed run may change it."""

from dataclasses import dataclass

from stylegen.augment import AUGMENTS, Controller
from stylegen.bounds import Auto, Choice, Count, Depth, FilePath, Interval, Kimg, Range, Seed, Share, setting
from stylegen.config.evaluate_settings import TrainingEvaluation
from stylegen.config.sections import Arguments, Component, choice, group, several
from stylegen.data.dataset import ImageDataset
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS, GENERATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.training.blur import BlurRamp
from stylegen.training.ema import EMA
from stylegen.training.growth import Growth
from stylegen.training.observers.wandb import WandbRun
from stylegen.training.optimizer import AdamSettings

_FROM_DATA = ("resolution", "channels", "num_classes")  # the dataset decides


@dataclass(frozen=True)
class LoaderSettings:
    """How training reads its data; the other settings under data.* are the arguments of `ImageDataset`."""

    workers: int = setting(
        0, Range(0, 256), help="worker processes that read images; 0 reads in the main process", resume="free"
    )


@dataclass(frozen=True)
class TrainerSettings:
    """Processes and devices."""

    accelerator: str = setting(
        "auto", Choice(("auto", "cpu", "gpu", "cuda", "mps")), help="auto takes the best one available"
    )
    devices: int = setting(1, Range(1, 1024), help="processes on this machine, one per device")
    num_nodes: int = setting(
        1, Range(1, 1024), help="machines; start the same command on each, as torchrun and SLURM do"
    )
    requeue: bool = setting(False, help="under SLURM: on SIGUSR1, save and requeue the job")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """`python train.py`."""

    total_kimg: float = setting(
        25000.0, Range(0.001, 1e7), help="length of the run in thousands of real images", resume="free"
    )
    batch_size: Count = setting(32, help="images per step, over all devices")
    batch_per_device: Count | None = setting(
        None,
        help="images per device at a time, a divisor of its share of the batch: less memory, the same training; "
        "null for the whole share",
        resume="free",
    )
    seed: Seed = setting(0, help="seed of the weights, the data order and every random input")
    output_dir: FilePath | None = setting(
        None, help="run folder; null creates a numbered one under runs/", resume="free"
    )
    resume: FilePath = setting(
        "auto",
        help="auto continues the run in output_dir, never refuses a folder that holds a run; or the path of a "
        "checkpoint or run folder",
        resume="free",
    )
    init: FilePath | None = setting(
        None,
        help="initial weights: a checkpoint or run folder (both networks), a snapshot or packaged model (generator), a "
        "checkpoint from another implementation (.pkl, .pt), nvidia/NAME, hf:USER/NAME or a URL; null for random "
        "weights",
        resume="free",  # a resumed run has its own weights
    )
    auto: bool = setting(
        False,
        help="derive settings that are not given from the resolution and the devices, as StyleGAN2-ADA does",
        resume="free",  # the derived values are compared themselves
    )
    freeze_d: Depth = setting(0, help="frozen layers of the discriminator, counted from the image (Mo et al. 2020)")
    precision: str = setting(
        "fp32",
        Choice(("fp32", "tf32", "bf16", "fp16")),
        help="number format; bf16 and fp16 apply to the blocks of half_resolutions",
    )
    half_resolutions: int | None = setting(
        4, Range(0, 16), help="number of highest resolutions computed in bf16 or fp16; null for all"
    )
    bad_steps: Interval = setting(
        16,
        help="restart from the last good checkpoint after this many consecutive steps with non-finite gradients, "
        "checked every 16 steps",
        resume="free",
    )
    attempts: int = setting(3, Range(0, 1000), help="restarts from one checkpoint before the run fails", resume="free")
    d_steps_per_g_step: Count = setting(
        1, help="steps of the discriminator, each on a batch of its own, for each step of the generator"
    )
    style_mixing_prob: Share = setting(0.9, help="probability of style mixing for a generated image")
    w_avg_decay: Share = setting(0.998, help="decay of the moving average of w per step")
    log_every_kimg: Kimg = setting(4.0, help="interval of records in metrics.jsonl; 0 for the end only", resume="free")
    sample_every_kimg: Kimg = setting(200.0, help="interval of sample grids; 0 for the end only", resume="free")
    snapshot_every_kimg: Kimg = setting(200.0, help="interval of snapshots; 0 for the end only", resume="free")
    checkpoint_every_kimg: Kimg = setting(200.0, help="interval of checkpoints; 0 for the end only", resume="free")
    sample_count: Count = setting(64, help="images in a sample grid", resume="free")
    figures: bool = setting(
        True, help="plot the metrics in metrics.png, and animate the sample grids in samples.webp", resume="free"
    )
    checkpoints: int = setting(2, Range(1, 10000), help="number of newest checkpoints to keep", resume="free")
    max_hours: float | None = setting(
        None, Range(0, 1e6), help="save and stop with status 0 after this time; null for no limit", resume="free"
    )
    threads: int | str | None = setting(
        "auto",
        Range(1, 1024),
        Auto(),
        help="CPU threads of each process; auto measures which number is fastest, null for a share of all cores",
        resume="free",
    )

    compile: bool | str = setting(
        "auto",
        Choice(("auto", "true", "false")),
        help="compile the training step; auto compiles a run that is long enough to save more time than that takes",
        resume="free",
    )

    ema: Arguments = group(EMA)
    data: Arguments = group(LoaderSettings, ImageDataset)
    generator: Component = choice(GENERATORS, without=_FROM_DATA)
    discriminator: Component = choice(DISCRIMINATORS, without=_FROM_DATA)
    loss: Component = choice(LOSSES)
    regularizers: Arguments = several(REGULARIZERS)
    augment: Component | None = choice(AUGMENTS, Controller, optional=True)
    blur: Arguments = group(BlurRamp)
    growth: Arguments | None = group(Growth, without=("resolution", "batch_size"), optional=True)
    optimizer: AdamSettings = group(AdamSettings)
    evaluation: TrainingEvaluation = group(TrainingEvaluation, resume="free")
    trainer: TrainerSettings = group(TrainerSettings, resume="free")
    logger: Arguments = group(WandbRun, without=("folder", "config"), resume="free")
