"""What each verb can be told beside the settings of the parts that it builds. Imports no torch."""

from dataclasses import dataclass, field


@dataclass
class TrainSettings:
    """`python train.py`.

    Attributes:
        total_kimg: length of the run in thousands of images shown to the discriminator.
        batch_size: images a step, over all devices.
        seed: of the weights, the data order and every random input.
        output_dir: the run folder; null makes a new numbered one under runs/.
        resume: "auto" continues what is in output_dir, "never" refuses a folder that holds a run, or a path of a
            checkpoint or run folder.
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
    seed: int = 0
    output_dir: str | None = None
    resume: str = "auto"
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
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1


@dataclass
class FidelityOptions:
    """How scores are taken; the options of single metrics (`stylegen.metrics.MetricOptions`) stand beside these.

    Attributes:
        weights: file or folder with the feature extractors' weights; null looks in $STYLEGEN_WEIGHTS, in torch's
            cache, and then downloads them.
        batch_size: pictures at a time in the feature extractor.
        cache: keep the statistics of the real pictures on disk.
    """

    weights: str | None = None
    batch_size: int = 64
    cache: bool = True


@dataclass
class FidelitySettings:
    """What is measured during training.

    Attributes:
        metrics: ids; see `stylegen.metrics.METRICS`. An empty list measures nothing.
        num_samples: generated pictures that a score is taken from.
        every_kimg: interval; 0 for the end only.
    """

    metrics: list[str] = field(default_factory=lambda: ["fid"])
    num_samples: int = 50000
    every_kimg: float = 0.0


@dataclass
class SampleSettings:
    """`python sample.py`.

    Attributes:
        snapshot: a .safetensors file, or a run folder (its newest).
        mode: "images", "grid", "truncation" or "mixing".
        seeds: numbers and ranges; the rows of the truncation and mixing figures.
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
    """

    path: str | None = None
    resolution: int | None = None


@dataclass
class EvaluateSettings:
    """`python -m stylegen evaluate`.

    Attributes:
        snapshot: a .safetensors file, or a run folder (its newest).
        images: a folder or zip of pictures, scored in place of a snapshot.
        metrics, num_samples: as in `FidelitySettings`; how they are taken stands under fidelity.*
        out: the metric card; null writes it beside the snapshot, or in the current folder for `images`.
        batch_size: pictures at a time in the generator.
        device: "auto", "cpu", "cuda" or "mps".
    """

    snapshot: str | None = None
    images: str | None = None
    metrics: list[str] = field(default_factory=lambda: ["fid"])
    num_samples: int = 50000
    out: str | None = None
    batch_size: int = 64
    device: str = "auto"


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
