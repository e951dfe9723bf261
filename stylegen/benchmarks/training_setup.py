"""A training step to measure: composed, checked and built as `train` does, on one batch of images."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from stylegen.config.bench_composition import split_overrides
from stylegen.config.command_line import key_of
from stylegen.config.compose import check_complete
from stylegen.config.rules import check_settings, device_type, num_processes
from stylegen.config.sections import Arguments
from stylegen.config.settings import BenchSettings
from stylegen.config.train_composition import compose_train
from stylegen.config.train_settings import TrainSettings
from stylegen.cpus import default_threads
from stylegen.data.dataset import ImageDataset
from stylegen.data.sources.zip import write_zip
from stylegen.files import temporary_folder
from stylegen.images import to_pil
from stylegen.randomness import integers
from stylegen.runs.auto_settings import choose_compile, choose_threads
from stylegen.runs.build import build_dataset, build_step
from stylegen.spec import ImageSpec
from stylegen.training.growth import Growth
from stylegen.training.precision import HALF, Precision
from stylegen.training.step import TrainingStep

_DISTINCT = 8  # synthetic images; the others repeat them
_SET_BYTES = 2**26  # of synthetic images


@dataclass(frozen=True)
class Subject:
    """One training configuration.

    Attributes:
        label: the overrides, as typed.
        settings: the checked settings of `train`.
        dataset: its images.
        threads: PyTorch's number of CPU threads.
        compiled: whether the main phases are compiled.
        notes: why `threads=auto` and `compile=auto` chose these two.
    """

    label: str
    settings: TrainSettings
    dataset: ImageDataset
    threads: int
    compiled: bool = False
    notes: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        return torch.device(device_type(self.settings.trainer.accelerator))

    @property
    def dtype(self) -> torch.dtype:
        """The number format of most products."""
        return HALF.get(self.settings.precision, torch.float32)

    @property
    def batch_size(self) -> int:
        """Images of one process and step; at the final resolution if the networks grow."""
        total, arguments = self.settings.batch_size, self.settings.growth
        if arguments is not None:
            growth = Growth(self.dataset.spec.resolution, total, **arguments)
            total = growth.batch_at(growth.grown_at)
        return max(total // num_processes(self.settings), 1)

    def use(self) -> None:
        """Set the number of threads and the precision of products, which are global in PyTorch."""
        torch.set_num_threads(self.threads)
        Precision(self.settings.precision, self.settings.half_resolutions).set_products()

    def with_batch(self, images: int, at_a_time: int) -> "Subject":
        """Another batch, in parts of `at_a_time` images."""
        settings = replace(self.settings, batch_size=images, batch_per_device=at_a_time)
        return replace(self, settings=settings)

    def build(self) -> TrainingStep:
        """The step on its device, at the final resolution; not compiled. Every phase is due at step 0."""
        step = build_step(self.settings, self.dataset).to(self.device)
        step.phases = [replace(phase, offset=0) for phase in step.phases]  # of G with d_steps_per_g_step
        if step.growth is not None:
            state = step.state_dict()
            state["clock"]["images_seen"] = step.growth.grown_at
            step.load_state_dict(state)
        return step

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` images and labels on the device."""
        images, labels = self.dataset.batch([number % len(self.dataset) for number in range(count)])
        return images.to(self.device), labels.to(self.device)


@contextlib.contextmanager
def subjects(settings: BenchSettings) -> Iterator[list[Subject]]:
    """Context manager: the configuration of `settings.set`, and a second one with `settings.vs` on top.

    Raises:
        UserError: settings or data that cannot be trained.
    """
    before, overrides = torch.get_num_threads(), split_overrides("set", settings.set)
    composed = [overrides]
    if settings.vs:
        later = [*overrides, *split_overrides("vs", settings.vs)]
        composed.append(list({key_of(override): override for override in later}.values()))  # the last one applies
    with ExitStack() as stack:
        found = []
        for label, typed in zip((settings.set or "default", settings.vs), composed, strict=False):
            train = compose_train([*typed, *_synthetic_data(stack, settings.synthetic, typed)])
            check_complete(train)
            train = replace(
                train,
                evaluation=replace(train.evaluation, metrics=[]),
                logger=Arguments({**train.logger, "mode": "disabled"}),
            )
            dataset = build_dataset(train)
            check_settings(train, dataset)
            found.append(_subject(settings.what, label, train, dataset))
        try:
            yield found
        finally:
            torch.set_num_threads(before)


def _subject(what: str, label: str, train: TrainSettings, dataset: ImageDataset) -> Subject:
    """With threads and compilation as training chooses them; other measurements take `threads`, or all cores."""
    if what != "train":
        threads = train.threads if isinstance(train.threads, int) else default_threads()
        return Subject(label, train, dataset, threads)
    step = build_step(train, dataset)
    threads, why_threads = choose_threads(train, step)
    torch.set_num_threads(threads)
    compiled, why_compiled = choose_compile(train, step)
    return Subject(label, train, dataset, threads, compiled, (*why_threads, *why_compiled))


def _synthetic_data(stack: ExitStack, resolution: int | None, overrides: Sequence[str]) -> list[str]:
    """The overrides of `train` that replace the data by random images in a temporary folder."""
    if resolution is None:
        return []
    ImageSpec(resolution)
    path = stack.enter_context(temporary_folder()) / "synthetic.zip"
    write_synthetic(path, resolution, min(2048, max(64, _SET_BYTES // (3 * resolution**2))))
    recipe = ["experiment=openmoji"] * all(key_of(override) != "experiment" for override in overrides)
    return [*recipe, f"data.path={path}", "data.resolution=null", "data.classes=null", "data.max_images=null"]


def write_synthetic(path: Path, resolution: int, count: int) -> None:
    """A dataset of `count` images of uniform noise in 10 classes."""
    pixels = integers(256, 0, "bench/synthetic", torch.arange(min(_DISTINCT, count)), (3, resolution, resolution))
    files = []
    for image in pixels:
        buffer = io.BytesIO()
        to_pil(image.to(torch.uint8)).save(buffer, format="PNG", compress_level=0)
        files.append(buffer.getvalue())
    names = [f"img{number:08d}.png" for number in range(count)]
    labels = [[name, number % 10] for number, name in enumerate(names)]
    write_zip(path, ((name, files[k % len(files)]) for k, name in enumerate(names)), {"labels": labels})
