"""What each verb can be told beside the settings of the parts that it builds. Imports no torch."""

from dataclasses import dataclass, field
from typing import Annotated

from stylegen.bounds import Choice, Count, Depth, Device, FilePath, Interval, Kimg, Names, Range, Seed, Share


@dataclass
class TrainSettings:
    """`python train.py`.

    Attributes:
        total_kimg: length of the run in thousands of images shown to the discriminator.
        batch_size: images a step, over all devices.
        batch_per_device: images that a device works on at a time; a divisor of its share of the batch. A smaller one
            needs less memory and gives the same training. null takes the whole share.
        seed: of the weights, the data order and every random input.
        output_dir: the run folder; null makes a new numbered one under runs/.
        resume: "auto" continues what is in output_dir, "never" refuses a folder that holds a run, or a path of a
            checkpoint or run folder.
        init: a snapshot (generator) or a checkpoint or run folder (both networks) whose weights the training
            starts from; null starts from random ones.
        auto: settings that are not given follow StyleGAN2-ADA's rules for the resolution and the devices.
        freeze_d: layers of the discriminator that do not learn, counted from the picture (Mo et al. 2020).
        precision: "fp32", "tf32", "bf16" or "fp16"; the last two are those of the blocks of `half_resolutions`.
        half_resolutions: how many of the highest resolutions compute in bf16 or fp16; null for all.
        bad_steps: a run goes back to its last good checkpoint after so many steps in a row without finite gradients;
            every 16th step looks at them.
        attempts: how often it goes back before it gives up.
        style_mixing_prob: probability of mixing two latents in a training picture.
        w_avg_decay: share of the running mean of w that a step keeps.
        log_every_kimg, sample_every_kimg, snapshot_every_kimg, checkpoint_every_kimg: intervals; 0 for the end only.
        sample_count: pictures in a sample grid.
        checkpoints: newest checkpoints that are kept.
        max_hours: save and stop after so long, with status 0; null for no limit.
        threads: CPU threads of PyTorch; null leaves its own choice.
    """

    total_kimg: Annotated[float, Range(0.001, 1e7)] = 25000.0
    batch_size: Count = 32
    batch_per_device: Count | None = None
    seed: Seed = 0
    output_dir: FilePath | None = None
    resume: FilePath = "auto"
    init: FilePath | None = None
    auto: bool = False
    freeze_d: Depth = 0
    precision: Annotated[str, Choice(("fp32", "tf32", "bf16", "fp16"))] = "fp32"
    half_resolutions: Annotated[int, Range(0, 16)] | None = 4
    bad_steps: Interval = 16
    attempts: Annotated[int, Range(0, 1000)] = 3
    style_mixing_prob: Share = 0.9
    w_avg_decay: Share = 0.998
    log_every_kimg: Kimg = 4.0
    sample_every_kimg: Kimg = 200.0
    snapshot_every_kimg: Kimg = 200.0
    checkpoint_every_kimg: Kimg = 200.0
    sample_count: Count = 64
    checkpoints: Annotated[int, Range(1, 10000)] = 2
    max_hours: Annotated[float, Range(0, 1e6)] | None = None
    threads: Annotated[int, Range(1, 1024)] | None = None


@dataclass
class TrainerSettings:
    """Where the run runs.

    Attributes:
        accelerator: "auto", "cpu", "gpu" or "mps".
        devices: processes on this machine, one a device.
        num_nodes: machines; start the same command on each, as torchrun or SLURM does.
        requeue: under SLURM, save on SIGUSR1 and put the job back into the queue.
    """

    accelerator: Annotated[str, Choice(("auto", "cpu", "gpu", "cuda", "mps"))] = "auto"
    devices: Annotated[int, Range(1, 1024)] = 1
    num_nodes: Annotated[int, Range(1, 1024)] = 1
    requeue: bool = False


@dataclass
class LoaderSettings:
    """How training reads its data; the other settings under data.* are those of `stylegen.data.dataset.ImageDataset`.

    Attributes:
        workers: processes that read images; 0 reads in the process itself.
    """

    workers: Annotated[int, Range(0, 256)] = 0


@dataclass
class EvaluationOptions:
    """How scores are taken; the options of single metrics (`stylegen.metrics.MetricOptions`) stand beside these.

    Attributes:
        weights: file or folder with the feature extractors' weights; null looks in $STYLEGEN_WEIGHTS, in torch's
            cache, and then downloads them.
        batch_size: pictures at a time in the feature extractor.
        cache: keep the statistics of the real pictures on disk.
        cache_dir: where; null for `metrics` in stylegen's cache folder.
        calibrate: give beside a score those of other real pictures, of blurred ones, and of one repeated.
        truncation_psi, noise, labels, mirror_reals: departures from StyleGAN2-ADA's protocol, which change the
            metrics' names; see `stylegen.metrics.Protocol`.
    """

    weights: FilePath | None = None
    batch_size: Count = 64
    cache: bool = True
    cache_dir: FilePath | None = None
    calibrate: bool = True
    truncation_psi: Annotated[float, Range(-100, 100)] = 1.0
    noise: Annotated[str, Choice(("random", "const", "none"))] = "random"
    labels: Annotated[str, Choice(("data", "uniform"))] = "data"
    mirror_reals: bool = False


@dataclass
class EvaluationSettings:
    """What is measured during training.

    Attributes:
        metrics: ids; see `stylegen.metrics.METRICS`. An empty list measures nothing.
        num_samples: generated pictures that a score is taken from.
        every_kimg: interval; 0 for the end only.
        max_share: scores between the first and the last are left out while they have taken more than this share of
            the run's time; 1 leaves none out.
    """

    metrics: Annotated[list[str], Names()] = field(default_factory=lambda: ["fid"])
    num_samples: Annotated[int, Range(1, 100000000)] = 50000
    every_kimg: Kimg = 0.0
    max_share: Share = 0.5


@dataclass
class SampleSettings:
    """`python sample.py`.

    Attributes:
        snapshot: a .safetensors file, or a run folder (its newest).
        mode: "images", "grid", "truncation", "mixing" or "noise".
        seeds: numbers and ranges; the rows of the truncation, mixing and noise figures.
        mix_seeds: the columns of the mixing figure, whose styles are copied.
        layers: which styles are copied: coarse (4-8 px), middle (16-32), fine (64 and up), or numbers such as 4-7.
        psis: the columns of the truncation figure.
        truncation_psi, truncation_cutoff: w_avg + psi (w - w_avg) in the first `cutoff` layers; null for all.
        noise: "const" as stored with the weights, "none", or "random", a function of the seed.
        label: class, by name or index, also written `class=`; null draws one for each seed.
        batch_size: pictures at a time.
        scale: each pixel becomes scale x scale; null enlarges small images to 64 px in figures and leaves single ones.
        columns: of a grid; null makes it square.
        out: file or folder; null names it after kimg, psi and seeds, in sampled/ of the snapshot's run. Other contents
            are never overwritten.
        device: "auto", "cpu", "cuda" or "mps".
    """

    snapshot: FilePath = "???"
    mode: Annotated[str, Choice(("images", "grid", "truncation", "mixing", "noise"))] = "images"
    seeds: str = "0-15"
    mix_seeds: str = "100-107"
    layers: str = "coarse"
    psis: Annotated[list[float], Range(-100, 100)] = field(
        default_factory=lambda: [-1.0, -0.7, -0.5, 0.0, 0.5, 0.7, 1.0]
    )
    truncation_psi: Annotated[float, Range(-100, 100)] = 0.7
    truncation_cutoff: Depth | None = None
    noise: Annotated[str, Choice(("const", "none", "random"))] = "const"
    label: str | None = None
    batch_size: Count = 16
    scale: Annotated[int, Range(1, 64)] | None = None
    columns: Annotated[int, Range(1, 10000)] | None = None
    out: FilePath | None = None
    device: Device = "auto"


@dataclass
class EvaluateData:
    """The real pictures of an evaluation.

    Attributes:
        path: a folder, a zip, or `openmoji`; null takes what the snapshot was trained on.
        resolution: for `openmoji`; null takes the snapshot's.
        mirror: whether the training mirrored its images, which fid50k, kid50k and pr50k3 then do to the reals; null
            takes what the snapshot says.
    """

    path: FilePath | None = None
    resolution: Annotated[int, Range(8, 2048)] | None = None
    mirror: bool | None = None


@dataclass
class EvaluateSettings:
    """`python -m stylegen evaluate`.

    Attributes:
        snapshot: a .safetensors file, a run folder (its newest), or several: a pattern such as
            runs/x/snapshots/*.safetensors, or names separated by commas.
        images: a folder or zip of pictures, scored in place of a snapshot.
        metrics: ids; see `stylegen.metrics.METRICS`. null measures fd_efficientnet_lite0 and
            prdc_efficientnet_lite0, or the same of random_vgg16 where the package with the weights is not installed.
        num_samples: generated images. null takes the number that a metric's name promises, and 5,000 for the others.
        statistics: an .npz file of mu and sigma in place of real pictures, for Frechet distances.
        export: write such a file of the reals, in the features of the first metric.
        per_class: also score each class of a conditional model with so many samples, against its own reals.
        neighbours: draw so many samples beside their nearest real pictures.
        out: the metric card; null writes it beside the snapshot, or in the current folder for `images`. For several
            snapshots a folder for table and plot; null takes their run folder.
        again: score snapshots anew that have a card with the same choices.
        batch_size: pictures at a time in the generator.
        devices: processes on this machine that share the work. torchrun's are taken as they are.
        device: "auto", "cpu", "cuda" or "mps".
    """

    snapshot: FilePath | None = None
    images: FilePath | None = None
    metrics: Annotated[list[str], Names()] | None = None
    num_samples: Annotated[int, Range(1, 100000000)] | None = None
    statistics: FilePath | None = None
    export: FilePath | None = None
    per_class: Annotated[int, Range(0, 100000000)] = 0
    neighbours: Annotated[int, Range(0, 4096)] = 0
    out: FilePath | None = None
    again: bool = False
    batch_size: Count = 64
    devices: Annotated[int, Range(1, 1024)] = 1
    device: Device = "auto"


@dataclass
class PrepareSettings:
    """`python -m stylegen prepare`.

    Attributes:
        source: a folder, zip, LMDB or Parquet file of images, or `openmoji`.
        out: the dataset, not there yet; .zip, .lmdb, or a folder.
    """

    source: FilePath = "???"
    out: FilePath = "???"


@dataclass
class SensitivitySettings:
    """`python -m stylegen sensitivity`.

    Attributes:
        metrics: ids; null measures all that need no download.
        num_images: at most so many reals are degraded, a keyed choice.
        use_labels: read the dataset's classes, which some of the degradations drop.
        out: a Markdown file; null prints the tables.
        device: "auto", "cpu", "cuda" or "mps".
    """

    metrics: Annotated[list[str], Names((1, 1024))] | None = None
    num_images: Annotated[int, Range(8, 10000)] = 10000
    use_labels: bool = False
    out: FilePath | None = None
    device: Device = "auto"


@dataclass
class StudySettings:
    """`python -m stylegen study`.

    Attributes:
        name: a file of conf/study, or the path of one of your own (.yaml).
        total_kimg: length of every experiment; null takes the study's.
        seeds: of the experiments of each variant, numbers and ranges.
        only: variants; an empty list for all.
        set: further overrides of `train` for all experiments, as one text: set='data.resolution=32 batch_size=8'.
        output_dir: the study's folder, with a run folder for each experiment; null for runs/study-<name>. What is in
            it already is continued.
    """

    name: FilePath = "???"
    total_kimg: Annotated[float, Range(0.001, 1e7)] | None = None
    seeds: str = "0-2"
    only: Annotated[list[str], Names()] = field(default_factory=list)
    set: str = ""
    output_dir: FilePath | None = None


@dataclass
class BenchSettings:
    """`python -m stylegen bench`.

    Attributes:
        what: "data", how fast pictures are read from each source and cache.
        resolutions: of the pictures, in pixels.
        workers: processes that read; 0 reads in the process itself.
        seconds: how long each cell of the table is measured, at least.
    """

    what: Annotated[str, Choice(("data",))] = "data"
    resolutions: Annotated[list[int], Range(8, 2048, count=(1, 16))] = field(default_factory=lambda: [64, 256, 1024])
    workers: Annotated[list[int], Range(0, 256, count=(1, 16))] = field(default_factory=lambda: [0, 1, 2])
    seconds: Annotated[float, Range(0, 3600, above=True)] = 1.0
