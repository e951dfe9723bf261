"""`directions`: unit vectors of w along which images change, with a measure of what else changes."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.direction_settings import DirectionsSettings
from stylegen.config.sections import as_dict
from stylegen.cpus import use_default_threads
from stylegen.distributed import choose_device
from stylegen.features import build_extractor, choose_extractor
from stylegen.latent.direction_search import DirectionSearch, table
from stylegen.latent.directions_file import Directions
from stylegen.latent.labeled_directions import Labeler, read_examples
from stylegen.latent.mixing import parse_layers
from stylegen.latent.sample_labels import parse_labels
from stylegen.latent.sampler import Sampler
from stylegen.placement import check_writable, place
from stylegen.progress import ProgressBars


@dataclass(frozen=True)
class DirectionsResult:
    """The file written and its directions."""

    path: Path
    snapshot: str
    directions: Directions

    def __str__(self) -> str:
        command = f"python sample.py snapshot={self.snapshot} mode=directions directions={self.path}"
        return "\n".join([*table(self.directions), str(self.path), f"next: {command}"])


def run(settings: DirectionsSettings) -> DirectionsResult:
    """Find directions, measure them, and write the file.

    Raises:
        UserError: a bad snapshot, layer, class or example; a file that cannot be written.
    """
    settings.check()
    use_default_threads()
    out = Path(settings.out).expanduser()
    check_writable(out, several=False, setting="directions")
    snapshot, device = load_snapshot(settings.snapshot), choose_device(settings.device)
    G, labels = snapshot.on(device), parse_labels(settings.label, snapshot)
    sampler = Sampler(G, psi=settings.truncation_psi, labels=labels, batch_size=settings.batch_size)
    layers = list(parse_layers(settings.layers, G.slot_resolutions))
    features = build_extractor(choose_extractor(settings.extractor, settings.weights), settings.weights, device)
    recorded = {key: value for key, value in as_dict(settings).items() if key not in ("out", "device")}
    search, classifier = DirectionSearch(snapshot, sampler, layers, settings.w_samples, recorded), None
    with ProgressBars() as bars:
        if settings.method == "boundary":
            assert settings.positive is not None
            assert settings.negative is not None
            sides = {"positive": settings.positive, "negative": settings.negative}
            read = partial(read_examples, snapshot=snapshot, dataset=settings.data.path, options=settings.options)
            examples = [read(name, text) for name, text in sides.items()]
            space = Labeler(sampler, features, settings.options, bars.show)(*examples)
            name = " vs ".join(Path(text).stem for text in sides.values())
            found, classifier = search.labeled(name, space), space.classifier
        else:
            found = search.unlabeled(settings.method, settings.count)
        seeds, strengths = list(range(settings.num_samples)), settings.strengths
        directions = search.measured(found, features, seeds, strengths, classifier, bars.show)
    place(directions.save, out, keep_both=False)
    return DirectionsResult(out, settings.snapshot, directions)
