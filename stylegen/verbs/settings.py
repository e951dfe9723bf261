"""What each verb can be told beside the settings of the parts that it builds. Imports no torch."""

from dataclasses import dataclass, field


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

    total_kimg: float = 25000.0
    batch_size: int = 32
    batch_per_device: int | None = None
    seed: int = 0
    output_dir: str | None = None
    resume: str = "auto"
    init: str | None = None
    auto: bool = False
    freeze_d: int = 0
    precision: str = "fp32"
    half_resolutions: int | None = 4
    bad_steps: int = 16
    attempts: int = 3
    style_mixing_prob: float = 0.9
    w_avg_decay: float = 0.998
    log_every_kimg: float = 4.0
    sample_every_kimg: float = 200.0
    snapshot_every_kimg: float = 200.0
    checkpoint_every_kimg: float = 200.0
    sample_count: int = 64
    checkpoints: int = 2
    max_hours: float | None = None
    threads: int | None = None


@dataclass
class TrainerSettings:
    """Where the run runs.

    Attributes:
        accelerator: "auto", "cpu", "gpu" or "mps".
        devices: processes on this machine, one a device.
        num_nodes: machines; start the same command on each, as torchrun or SLURM does.
        requeue: under SLURM, save on SIGUSR1 and put the job back into the queue.
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    requeue: bool = False


@dataclass
class FidelityOptions:
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

    weights: str | None = None
    batch_size: int = 64
    cache: bool = True
    cache_dir: str | None = None
    calibrate: bool = True
    truncation_psi: float = 1.0
    noise: str = "random"
    labels: str = "data"
    mirror_reals: bool = False


@dataclass
class FidelitySettings:
    """What is measured during training.

    Attributes:
        metrics: ids; see `stylegen.metrics.METRICS`. An empty list measures nothing.
        num_samples: generated pictures that a score is taken from.
        every_kimg: interval; 0 for the end only.
        max_share: scores between the first and the last are left out while they have taken more than this share of
            the run's time; 1 leaves none out.
    """

    metrics: list[str] = field(default_factory=lambda: ["fid"])
    num_samples: int = 50000
    every_kimg: float = 0.0
    max_share: float = 0.5


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
        label: class index, also written `class=`; null draws one for each seed.
        batch_size: pictures at a time.
        scale: each pixel becomes scale x scale; null enlarges small pictures in figures to 64 px.
        columns: of a grid; null makes it square.
        out: file or folder; null writes beside the snapshot's run.
        device: "auto", "cpu", "cuda" or "mps".
    """

    snapshot: str = "???"
    mode: str = "images"
    seeds: str = "0-15"
    mix_seeds: str = "100-107"
    layers: str = "coarse"
    psis: list[float] = field(default_factory=lambda: [-1.0, -0.7, -0.5, 0.0, 0.5, 0.7, 1.0])
    truncation_psi: float = 0.7
    truncation_cutoff: int | None = None
    noise: str = "const"
    label: int | None = None
    batch_size: int = 16
    scale: int | None = None
    columns: int | None = None
    out: str | None = None
    device: str = "auto"


@dataclass
class EvaluateData:
    """The real pictures of an evaluation.

    Attributes:
        path: a folder, a zip, or `openmoji`; null takes what the snapshot was trained on.
        resolution: for `openmoji`; null takes the snapshot's.
        mirror: whether the training mirrored its images, which fid50k, kid50k and pr50k3 then do to the reals; null
            takes what the snapshot says.
    """

    path: str | None = None
    resolution: int | None = None
    mirror: bool | None = None


@dataclass
class EvaluateSettings:
    """`python -m stylegen evaluate`.

    Attributes:
        snapshot: a .safetensors file, a run folder (its newest), or several: a pattern such as
            runs/x/snapshots/*.safetensors, or names separated by commas.
        images: a folder or zip of pictures, scored in place of a snapshot.
        metrics: ids; see `stylegen.metrics.METRICS`. The default needs no download.
        num_samples: generated pictures that a score is taken from; how it is taken stands under fidelity.*
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

    snapshot: str | None = None
    images: str | None = None
    metrics: list[str] = field(default_factory=lambda: ["fd_random_vgg16"])
    num_samples: int = 50000
    statistics: str | None = None
    export: str | None = None
    per_class: int = 0
    neighbours: int = 0
    out: str | None = None
    again: bool = False
    batch_size: int = 64
    devices: int = 1
    device: str = "auto"


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

    name: str = "???"
    total_kimg: float | None = None
    seeds: str = "0-2"
    only: list[str] = field(default_factory=list)
    set: str = ""
    output_dir: str | None = None


@dataclass
class BenchSettings:
    """`python -m stylegen bench`.

    Attributes:
        what: "data", how fast pictures are read from each source and cache.
        resolutions: of the pictures, in pixels.
        workers: processes that read; 0 reads in the process itself.
        seconds: how long each cell of the table is measured, at least.
    """

    what: str = "data"
    resolutions: list[int] = field(default_factory=lambda: [64, 256, 1024])
    workers: list[int] = field(default_factory=lambda: [0, 1, 2])
    seconds: float = 1.0
