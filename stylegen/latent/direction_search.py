"""Directions of a snapshot by method, and a table of their measures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

import stylegen
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.errors import UserError
from stylegen.features import FeatureExtractor
from stylegen.latent.direction_methods import Boundary, factorize, principal_components
from stylegen.latent.directions_file import Directions, digest
from stylegen.latent.labeled_directions import LabeledSpace, Progress
from stylegen.latent.projection import sampled_w
from stylegen.latent.sampler import Sampler
from stylegen.latent.walk_measure import measure_walks

SHARE_OF = {"sefa": "sum of the eigenvalues of the weights", "pca": "variance of w"}


@dataclass(frozen=True)
class DirectionSearch:
    """Finds directions and measures them.

    Args:
        snapshot: the generator.
        sampler: generates its images; its labels apply to the sampled w.
        layers: style slots.
        w_samples: number of w for components and standard deviations.
        settings: recorded in `info`.
    """

    snapshot: Snapshot
    sampler: Sampler
    layers: Sequence[int]
    w_samples: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def unlabeled(self, method: str, count: int) -> Directions:
        """Directions by "sefa" or "pca".

        Raises:
            UserError: more directions than w has dimensions, or than samples of w; see `factorize`.
        """
        G = self.snapshot.generator
        if count > G.w_dim:
            raise UserError(
                f"count={count}", rule=f"w of this network has {G.w_dim} dimensions", fix=f"Use count={G.w_dim} or less"
            )
        if method == "sefa":
            vectors, shares = factorize(G, self.layers, count)
        else:
            vectors, shares = principal_components(self._w(), count)
        names = [f"{method}{k}" for k in range(count)]
        measures = [{"share": share} for share in shares.tolist()]
        return self._directions(vectors, names, {"method": method, "share_of": SHARE_OF[method], "measures": measures})

    def labeled(self, name: str, space: LabeledSpace) -> Directions:
        """The normal of a boundary in w."""
        found = {"boundary": space.boundary, "classifier": space.classifier}
        info = {name: {"accuracy": b.accuracy, "examples": list(b.examples)} for name, b in found.items()}
        return self._directions(space.boundary.normal[None], [name], {"method": "boundary", "measures": [{}], **info})

    def measured(
        self,
        directions: Directions,
        features: FeatureExtractor,
        seeds: Sequence[int],
        strengths: Sequence[float],
        classifier: Boundary | None,
        progress: Progress,
    ) -> Directions:
        """The directions with their changes along the walk in `info`; see `walk_measure`."""
        found = measure_walks(directions, self.sampler, features, seeds, strengths, classifier, progress)
        measures = []
        for known, new in zip(directions.info["measures"], found, strict=True):
            crossed = {"crossed": list(new.crossed)} if new.crossed else {}
            measures.append({**known, "change": list(new.change), **crossed})
        measure = {
            "strengths": list(strengths),
            "seeds": list(seeds),
            "psi": self.sampler.psi,
            "extractor": f"{features.name} {features.weights_id}",
        }
        return replace(directions, info={**directions.info, "measure": measure, "measures": measures})

    def _w(self) -> Tensor:
        return sampled_w(self.snapshot.generator, self.w_samples, self.sampler.labels).double().cpu()

    def _directions(self, vectors: Tensor, names: Sequence[str], info: Mapping[str, Any]) -> Directions:
        G = self.snapshot.generator
        provenance = {
            "snapshot": self.settings.get("snapshot", self.snapshot.path.name),
            "snapshot_file": self.snapshot.path.name,
            "generator_sha256": digest(G),
            "mapping_sha256": digest(G.mapping),
            "stylegen": stylegen.__version__,
            "settings": dict(self.settings),
        }
        scales = (self._w() @ vectors.T).std(dim=0)
        return Directions(vectors.float(), scales.float(), names, list(self.layers), {**info, **provenance})


def table(directions: Directions) -> Iterator[str]:
    """Lines with the measures of each direction."""
    info = directions.info
    measure, shares = info["measure"], "share_of" in info
    columns = [f"{strength:+g}" for strength in measure["strengths"]]
    width = max(12, *map(len, directions.names))
    share = [f"{'share':>7}"] * shares
    yield "  ".join([f"{'direction':{width}}", *share, f"{'sd of w':>7}", *[f"{c:>6}" for c in columns]])
    for name, scale, own in zip(directions.names, directions.scales.tolist(), info["measures"], strict=True):
        share = [f"{own['share']:7.4f}"] if shares else []
        yield "  ".join([f"{name:{width}}", *share, f"{scale:7.3f}", *[f"{x:6.2f}" for x in own["change"]]])
        if "crossed" in own:
            crossed = ["     -" if x is None else f"{x:6.2f}" for x in own["crossed"]]
            yield "  ".join([f"{'  crossed':{width}}", " " * 7, *crossed])
    yield (
        f"columns: change of {measure['extractor'].split()[0]} features at a strength in standard deviations of w, "
        f"relative to the distance of two seeds; {len(measure['seeds'])} seeds, psi {measure['psi']:g}"
    )
    if shares:
        yield f"share: of the {info['share_of']}"
    for what in ("boundary", "classifier"):
        if what in info:
            found, where = info[what], "w" if what == "boundary" else "features of images"
            positive, negative = found["examples"]
            yield (
                f"{what} in {where}: accuracy {found['accuracy']:.3f} on a held-out fifth of {positive:,} positive and "
                f"{negative:,} negative examples"
            )
    if any("crossed" in own for own in info["measures"]):
        yield "crossed: share of the seeds on the other side of the classifier that come to this one"
