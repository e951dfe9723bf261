"""The settings of `models`, `study`, `bench`, `diagnose`, `convert` and `export`, one row each.

Imports no torch.
"""

from dataclasses import dataclass
from pathlib import Path

from stylegen.bounds import REQUIRED, Choice, Device, FilePath, Names, Range, setting

_PACKAGE = Path(__file__).resolve().parents[1]
CONF = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())  # or of the checkout


@dataclass(frozen=True)
class ModelsSettings:
    """`python -m stylegen models`."""

    name: str | None = setting(None, help="a packaged or published model, to print its card; null lists all")


@dataclass(frozen=True)
class StudySettings:
    """`python -m stylegen study`."""

    name: FilePath = setting(REQUIRED, help="a file of conf/study, or the path of a .yaml file")
    total_kimg: float | None = setting(None, Range(0.001, 1e7), help="length of every experiment; null for the study's")
    seeds: str = setting("0-2", help="seeds of each variant, numbers and ranges", quoted=True)
    only: list[str] = setting([], Names(), help="variants; an empty list for all")
    set: str = setting(
        "",
        help="further overrides of train for all experiments, as one string: set='data.resolution=32 batch_size=8'",
        quoted=True,
    )
    output_dir: FilePath | None = setting(
        None,
        help="folder of the study, with a run folder for each experiment; null for runs/study-<name>. Existing runs "
        "are continued",
    )


@dataclass(frozen=True)
class BenchSettings:
    """`python -m stylegen bench`."""

    what: str = setting(
        "data",
        Choice(("data", "train", "sample", "startup", "memory", "roofline")),
        help="data: images per second of each source and cache; train: time, operations and memory of a training step; "
        "sample: images per second of a generator; startup: time of imports and commands; memory: the largest batch; "
        "roofline: the least time of a step on this machine",
    )
    set: str = setting(
        "",
        help="overrides of train, as one string; for train, sample, memory and roofline also typed without set",
        quoted=True,
    )
    vs: str = setting(
        "",
        help="train, sample: further overrides of a second configuration, measured in alternation: vs='threads=1'",
        quoted=True,
    )
    repetitions: int = setting(10, Range(1, 10000), help="measurements of each number, after a warm-up")
    synthetic: int | None = setting(
        None, Range(8, 2048), help="resolution of random images in place of data.path; null for the configured data"
    )
    snapshot: FilePath | None = setting(
        None, help="sample, startup: a snapshot or run folder; null for a new network of the configuration"
    )
    batch_sizes: list[int] = setting([1, 8, 64], Range(1, 65536, count=(1, 16)), help="sample: images per call")
    resolutions: list[int] = setting(
        [64, 256, 1024], Range(8, 2048, count=(1, 16)), help="data: resolutions of the images, in pixels"
    )
    workers: list[int] = setting(
        [0, 1, 2], Range(0, 256, count=(1, 16)), help="data: worker processes; 0 reads in the main process"
    )
    seconds: float = setting(
        1.0, Range(0, 3600, above=True), help="data: shortest measurement of each cell of the table"
    )
    out: FilePath | None = setting(None, help="a .json file for all results; null for none")


@dataclass(frozen=True)
class DiagnoseSettings:
    """`python -m stylegen diagnose`."""

    run: FilePath = setting(REQUIRED, help="the folder of a run, finished or not")
    num_samples: int = setting(
        256, Range(0, 10000), help="samples of each snapshot, whose diversity is compared with the data's; 0 for none"
    )
    out: FilePath | None = setting(None, help="a .json file for the findings; null prints them as the last line")
    device: Device = setting("auto", help="device of the generator")


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """`python -m stylegen convert`."""

    source: FilePath = setting(
        REQUIRED,
        help="a checkpoint of NVIDIA's StyleGAN, StyleGAN2(-ADA) or StyleGAN3, R3GAN, rosinality or GenForce; its URL; "
        "a published model that `models` lists; or, to change its networks, a snapshot or run",
    )
    out: FilePath = setting(REQUIRED, help="the snapshot, a .safetensors file; a discriminator goes beside it")
    sha256: str | None = setting(None, help="SHA-256 that the source must have")
    resolution: int | None = setting(
        None, Range(8, 2048), help="resolution of the new networks: layers that exist are copied, others are new"
    )
    num_classes: int | None = setting(None, Range(0, 10**6), help="number of classes of the new networks")
    blend: FilePath | None = setting(None, help="second model, whose `layers` replace the first one's")
    layers: str = setting("16-64", help="resolutions in pixels of the layers to blend, as in 16-64", quoted=True)
    blend_weight: float = setting(1.0, Range(0, 1), help="weight of the second model in these layers")


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """`python -m stylegen export`."""

    snapshot: FilePath = setting(
        "portraits64",
        help="as in `sample`: a file, a run folder, a model by name, or a checkpoint from another implementation",
    )
    format: str = setting(
        "onnx",
        Choice(("onnx", "torch_export", "state_dict", "huggingface")),
        help="onnx: for ONNX Runtime; torch_export: a .pt2 program; state_dict: tensors under the published names; "
        "huggingface: a folder for the Hub",
    )
    out: FilePath = setting(REQUIRED, help="new file .onnx, .pt2 or .pt, or new folder of huggingface")
    input: str = setting(
        "z",
        Choice(("z", "ws")),
        help="onnx, torch_export: z [N, z_dim], psi [] and labels c [N, classes], or styles ws [N, L, w_dim]",
    )
    noise: str = setting(
        "const", Choice(("const", "none")), help="onnx, torch_export: const: as stored with the weights; none"
    )
    license: str | None = setting(
        None,
        help="huggingface: identifier of the model's license, such as cc-by-4.0; null for cc-by-sa-4.0 if the "
        "model is a packaged one, and else none in the model card",
        quoted=True,
    )


ROOTS = {  # verb -> its settings dataclass
    "train": "stylegen.config.train_settings:TrainSettings",
    "sample": "stylegen.config.sample_settings:SampleSettings",
    "evaluate": "stylegen.config.evaluate_settings:EvaluateSettings",
    "sensitivity": "stylegen.config.evaluate_settings:SensitivitySettings",
    "convert": "stylegen.config.settings:ConvertSettings",
    "export": "stylegen.config.settings:ExportSettings",
    "project": "stylegen.config.project_settings:ProjectSettings",
    "directions": "stylegen.config.direction_settings:DirectionsSettings",
    "view": "stylegen.config.view_settings:ViewSettings",
    "models": "stylegen.config.settings:ModelsSettings",
    "study": "stylegen.config.settings:StudySettings",
    "bench": "stylegen.config.settings:BenchSettings",
    "diagnose": "stylegen.config.settings:DiagnoseSettings",
    "prepare": "stylegen.config.prepare_settings:PrepareSettings",
}
