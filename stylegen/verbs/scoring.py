"""What is scored, against what, and whether that has been done before."""

import glob
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from stylegen import randomness
from stylegen.checkpoints.snapshot import Snapshot, find_snapshot, load_snapshot
from stylegen.config.evaluation import metric_options, protocol_of
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from stylegen.features.weights import FILES_OF, require_weights, sha256
from stylegen.metrics.engine.compute import compute_metrics
from stylegen.metrics.engine.fakes import StoredPictures
from stylegen.metrics.engine.generated import GeneratedPictures, at_level, sampler_of, score_generator
from stylegen.metrics.engine.real_sets import PublishedReals, mirrors
from stylegen.metrics.engine.reals import PROTOCOL_VERSION, RealImages
from stylegen.metrics.engine.requirements import by_extractor
from stylegen.metrics.engine.statistics_file import read_statistics
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.card_file import read_cards
from stylegen.metrics.protocol.registry import METRICS
from stylegen.spec import ImageSpec

PublishedOrReals = ImageDataset | PublishedReals


@dataclass(frozen=True)
class Subject:
    """Pictures to be scored.

    Args:
        name: for the table.
        card: where its metric card is written.
        kimg: of the training; None where nothing says.
        digest: of the snapshot's bytes or the pictures.
        spec: of the pictures, or of the data for which a network was made.
        resolution: at which they are drawn; less than that of `spec` for a network that is still growing.
        info: what a snapshot says of its training.
        count: how many are measured.
        score: gives the card.
        pictures: the first so many pictures, uint8 NCHW.
    """

    name: str
    card: Path
    kimg: float | None
    digest: str
    spec: ImageSpec
    resolution: int
    info: Mapping[str, Any]
    count: int
    score: Callable[[RealImages, dict[str, Any]], MetricCard]
    pictures: Callable[[RealImages, int], torch.Tensor]


def find_snapshots(text: str) -> list[Path]:
    """Files, run folders and patterns, separated by commas: a path that exists is taken as it stands.

    Raises:
        UserError: a pattern that fits no file; see `find_snapshot`.
    """
    if Path(text).expanduser().exists():
        return [find_snapshot(text)]
    found: list[Path] = []
    for part in text.split(","):
        if not glob.has_magic(part) or Path(part).expanduser().exists():
            found.append(find_snapshot(part))
            continue
        matches = sorted(Path(p) for p in glob.glob(str(Path(part).expanduser()), recursive=True))  # noqa: PTH207
        matches = [p for p in matches if p.suffix == ".safetensors"]
        if not matches:
            raise UserError(
                f"snapshot={part}", rule="no .safetensors file fits this pattern", fix="Name a run's snapshots/ folder"
            )
        found += matches
    return list(dict.fromkeys(found))


def snapshot_subject(config: Any, path: Path, device: torch.device) -> Subject:
    """A generator; loaded now, so that a bad file is refused before anything is computed."""
    snapshot = load_snapshot(path)
    spec, resolution, info = _spec(snapshot), snapshot.generator.level.resolution, snapshot.info
    del snapshot  # many may be scored, and each is loaded again when its turn comes
    digest = sha256(path)[:32]
    seen = info.get("images_seen")

    def score(reals: RealImages, options: dict[str, Any]) -> MetricCard:
        return score_generator(
            load_snapshot(path).generator.to(device),
            reals,  # type: ignore[arg-type]
            config.metrics,
            config.num_samples,
            sampler_batch=config.batch_size,
            per_class=config.per_class,
            sampling={
                **({} if seen is None else {"kimg": seen / 1000}),
                "snapshot": path.name,
                "snapshot_sha256": digest,
                "question": question(config, digest, reals),
            },
            **options
            | {"identity": f"{digest} {protocol_of(config.evaluation).suffix()} {_labels(config, reals, spec)}"},
        )

    def pictures(reals: RealImages, count: int) -> torch.Tensor:
        generator = load_snapshot(path).generator.to(device)
        sampler = sampler_of(generator, reals, protocol_of(config.evaluation), config.batch_size)  # type: ignore[arg-type]
        return torch.cat(list(GeneratedPictures(sampler).batches(list(range(count))))).cpu()

    card = path.with_suffix(".metrics.json")
    kimg = None if seen is None else seen / 1000
    return Subject(path.stem, card, kimg, digest, spec, resolution, info, config.num_samples, score, pictures)


def images_subject(config: Any, device: torch.device) -> Subject:
    """A folder or zip of images, measured as stored. Of more than `num_samples` a keyed choice counts."""
    if not Path(config.images).expanduser().exists():  # the dataset would blame data.path
        raise UserError(f"images={config.images} does not exist", rule="it is a folder or a .zip", fix="Give its path")
    images = ImageDataset(config.images)
    count = min(config.num_samples, images.num_images)
    whole = count == images.num_images
    order = list(range(count)) if whole else chosen_images(images.num_images, count)
    kinds = sorted({Path(key).suffix.lower() for key in images.source.keys()})  # noqa: SIM118

    def score(reals: RealImages, options: dict[str, Any]) -> MetricCard:
        return compute_metrics(
            config.metrics,
            StoredPictures(images, config.batch_size, order),
            count,
            reals,
            device=device,
            sampling={
                "images": images.name,
                "chosen": "all" if whole else f"{count} of {images.num_images}, keyed by seed 0",
                "fingerprint": images.fingerprint,
                "files": ", ".join(kinds),  # a lossy format moves a score: FFHQ as JPEG q90 by 6 of FID
                "quantisation": "as stored",
                "question": question(config, images.fingerprint, reals),
            },
            **options | {"identity": images.fingerprint},
        )

    card = Path(f"{Path(config.images).stem}.metrics.json")
    first = lambda reals, n: images.batch(order[:n])[0].cpu()  # noqa: E731
    side = images.spec.resolution
    return Subject(images.name, card, None, images.fingerprint, images.spec, side, {}, count, score, first)


def chosen_images(num_images: int, count: int) -> list[int]:
    """Numbers of `count` images of a folder in a keyed order: its first ones may be of one class, or one session."""
    return randomness.permutation(num_images, 0, "metrics/images")[:count].tolist()


def find_reals(config: Any, subject: Subject) -> PublishedOrReals:
    """`statistics`, or `data.path`, or what the snapshot was trained on: all of it, where that was a part.

    Raises:
        UserError: none of them; pictures of another size, channels or classes than the subject's.
    """
    if config.statistics is not None:
        if subject.spec.num_classes and protocol_of(config.evaluation).labels == "data":
            raise UserError(
                f"statistics={config.statistics}",
                rule="a conditional generator takes its labels from the data, and statistics have none",
                fix="Add evaluation.labels=uniform, which changes the metric's name",
            )
        return read_statistics(config.statistics, subject.spec)
    mirror = _mirrored(config, subject)
    if config.data.path is None and "data" not in subject.info:
        raise UserError(
            "data.path is missing",
            rule="nothing says which real pictures to compare with",
            fix="Add data.path=FOLDER_OR_ZIP, or data.path=openmoji",
        )
    if config.data.path is None:
        data = {k: v for k, v in subject.info["data"].items() if k not in ("max_images", "subset_seed")}
        return ImageDataset(**data | {"mirror": mirror})
    resolution = config.data.resolution
    if resolution is None and config.data.path == "openmoji":
        resolution = subject.spec.resolution
    conditional = config.images is None and subject.spec.num_classes > 0
    return ImageDataset(config.data.path, resolution, use_labels=conditional, mirror=mirror)


def _mirrored(config: Any, subject: Subject) -> bool:
    """Whether the training mirrored its images, for the metrics to whose reals that is done too.

    Raises:
        UserError: one of these metrics, and neither setting nor snapshot says.
    """
    mirror = config.data.mirror
    if mirror is None:
        mirror = subject.info.get("data", {}).get("mirror")
    asking = [i for i in config.metrics if i in METRICS and METRICS[i].first_reals is not None]
    if mirror is None and asking:
        raise UserError(
            f"metrics={asking[0]} for {subject.name}",
            rule=f"{asking[0]} mirrors its reals where training mirrored its images, and nothing says whether it did",
            fix="Add data.mirror=true or data.mirror=false",
        )
    return bool(mirror)


def check_match(config: Any, subject: Subject, reals: PublishedOrReals) -> None:
    """Raise UserError for pictures or labels that cannot be compared."""
    drawn, spec = subject.spec, reals.spec
    if config.images is not None:
        drawn = ImageSpec(drawn.resolution, drawn.channels, spec.num_classes)
    if drawn != spec:
        what = f"images={config.images}" if config.images is not None else f"snapshot={subject.name}"
        raise UserError(
            f"{what} {'has' if config.images is not None else 'draws'} {drawn}",
            rule=f"{reals.name} has {spec}, and pictures or labels that differ cannot be compared",
            fix="Name a dataset like the one that it was trained on, or leave data.path out",
        )
    if isinstance(reals, PublishedReals):
        at_level(reals, subject.resolution)  # type: ignore[arg-type]


def question(config: Any, digest: str, reals: RealImages) -> str:
    """A digest of everything on which a card depends, so that one is believed only where nothing has changed."""
    names = [name for e in by_extractor(config.metrics) for name in FILES_OF.get(e, (e,))]
    files = [require_weights(name, config.evaluation.weights) for name in names]
    content = {
        "subject": digest,
        "reals": reals.fingerprint,
        "mirror": mirrors(reals),
        "metrics": list(config.metrics),
        "num_samples": config.num_samples,
        "per_class": config.per_class,
        "options": asdict(metric_options(config.evaluation)),
        "protocol": asdict(protocol_of(config.evaluation)),
        "version": PROTOCOL_VERSION,
        "weights": [None if file is None else _file_hash(file) for file in files],
        "calibrate": config.evaluation.calibrate,
    }
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()


def earlier_card(subject: Subject, path: Path, config: Any, reals: RealImages) -> dict[str, Any] | None:
    """The newest card at `path` that answers the same question."""
    asked = question(config, subject.digest, reals)
    return next((card for card in reversed(read_cards(path)) if card["sampling"].get("question") == asked), None)


_HASHES: dict[tuple[str, int, int], str] = {}


def _file_hash(path: Path) -> str:
    """SHA-256, taken once for a state of the file: half a gigabyte is read in a second or two."""
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key not in _HASHES:
        _HASHES[key] = sha256(path)
    return _HASHES[key]


def _spec(snapshot: Snapshot) -> ImageSpec:
    G = snapshot.generator
    return ImageSpec(G.resolution, G.channels, G.num_classes)


def _labels(config: Any, reals: RealImages, spec: ImageSpec) -> str:
    """Of a conditional generator the dataset decides the labels, and so the fakes."""
    return reals.fingerprint if spec.num_classes else ""
