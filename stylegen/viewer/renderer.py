"""Images of stills: seeds, sources, the map, truncation, mixing, directions and noise of one snapshot."""

import contextlib
import functools
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stylegen.checkpoints.snapshot import Snapshot
from stylegen.errors import UserError, unknown_choice
from stylegen.features.extractor import ieee_float32
from stylegen.images import to_uint8
from stylegen.latent.direction_search import DirectionSearch
from stylegen.latent.directions_file import Directions
from stylegen.latent.interpolation import cubic, plane
from stylegen.latent.mixing import mix
from stylegen.latent.noise_inputs import scaled_noise, stored_noise
from stylegen.latent.sample_labels import parse_labels
from stylegen.latent.sampler import Sampler
from stylegen.latent.timing import Timing
from stylegen.latent.truncation import class_centers
from stylegen.viewer.block_cache import BlockCache
from stylegen.viewer.page_state import Keyframe, Still

METHODS = ("sefa", "pca")
NUM_DIRECTIONS = 16  # of each method
W_SAMPLES = 10_000  # of components and standard deviations
MAX_SOURCES = 32
_CACHED = 512  # styles of stills


class Renderer:
    """Images of one snapshot.

    Args:
        snapshot: its generator, on its device.
        sets: directions from files, by name.
        sources: projected images, name -> styles [1, L, w_dim]; the oldest are forgotten.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        sets: Mapping[str, Directions] | None = None,
        sources: OrderedDict[str, Tensor] | None = None,
    ) -> None:
        self.snapshot, self.generator = snapshot, snapshot.generator
        self.sources = OrderedDict() if sources is None else sources
        self._blocks = BlockCache(self.generator.synthesis)
        self._sets: dict[str, Directions] = dict(sets or {})
        self._ws: OrderedDict[Still, Tensor] = OrderedDict()

    def close(self) -> None:
        """Let the memory of the network be freed with the last reference to it."""
        self._blocks.close()

    def info(self) -> dict[str, Any]:
        """What the page needs for its controls."""
        G = self.generator
        return {
            "resolution": G.level.resolution,
            "channels": G.channels,
            "network": G.name,
            "weights": hashlib.sha256(G.mapping.w_avg.float().cpu().numpy().tobytes()).hexdigest()[:16],
            "layers": list(G.slot_resolutions),
            "classes": list(self.snapshot.info.get("class_names", range(G.num_classes))) if G.num_classes else [],
            "noise": bool(stored_noise(G)),
            "mixing": G.num_ws > 1,
            "max_seed": 2**32 - 1 if self.snapshot.seed_source == "numpy" else 2**53 - 1,
            "sets": [*METHODS, *(name for name in self._sets if name not in METHODS)],
            "sources": list(self.sources),
            "kimg": self.snapshot.info.get("images_seen", 0) / 1000,
            "dataset": str(self.snapshot.info.get("dataset", "")),
        }

    def sampler(self, still: Still) -> Sampler:
        """The sampler with the still's truncation, class and noise.

        Raises:
            UserError: a class or cutoff that the network does not have.
        """
        return Sampler(
            self.generator,
            psi=still.psi,
            cutoff=still.cutoff,
            noise=still.noise,
            labels=parse_labels(still.label, self.snapshot),
            seed_source=self.snapshot.seed_source,
            centers=self._centers if still.center == "class" and self.generator.num_classes else None,
        )

    @torch.no_grad()
    def images(self, stills: Sequence[Still]) -> Tensor:
        """uint8 [N, C, H, W]; noise has the first still's mode and strength, and is keyed by each still's seed."""
        return self.render(torch.cat([self.ws(still) for still in stills]), stills)

    @torch.no_grad()
    def render(self, ws: Tensor, stills: Sequence[Still]) -> Tensor:
        """uint8 [N, C, H, W] of final styles [N, L, w_dim], with the noise of `stills`."""
        first = stills[0]
        noise = scaled_noise(self.generator, [s.seed for s in stills], first.noise, first.noise_strength)
        once = self._blocks.active() if len(ws) == 1 else contextlib.nullcontext()
        with once, ieee_float32(ws.device):
            return to_uint8(self.generator.synthesis(ws, noise))

    def frame(self, keyframes: Sequence[Keyframe], loop: bool, fps: float, seconds: float) -> Tensor:
        """uint8 [1, C, H, W] at a time of the video through `keyframes`, as `latent.sample_video` generates it."""
        timing = video_timing(keyframes, loop, fps)
        ws = torch.cat([self.ws(keyframe.still) for keyframe in keyframes])
        keys = torch.tensor(timing.keys(len(ws)), dtype=torch.float64)
        time = torch.tensor([min(max(seconds * float(timing.rate), 0.0), float(keys[-1]))])
        return self.render(cubic(ws, keys, time), [keyframes[0].still])

    def directions(self, name: str) -> Directions:
        """A set of directions, computed on first use.

        Raises:
            UserError: no such set.
        """
        if name not in self._sets:
            if name not in METHODS:
                raise unknown_choice("set", name, [*METHODS, *self._sets])
            G = self.generator
            search = DirectionSearch(self.snapshot, self.sampler(Still()), list(range(G.num_active_ws)), W_SAMPLES)
            self._sets[name] = search.unlabeled(name, min(NUM_DIRECTIONS, G.w_dim))
        return self._sets[name]

    def add_source(self, name: str, ws: Tensor) -> None:
        """Keep the styles [1, L, w_dim] of a projected image."""
        self.sources[name] = ws
        while len(self.sources) > MAX_SOURCES:
            self.sources.popitem(last=False)

    def ws(self, still: Still) -> Tensor:
        """The final styles [1, L, w_dim] of a still; those used last are kept."""
        if still not in self._ws:
            self._ws[still] = self._computed(still)
            if len(self._ws) > _CACHED:
                self._ws.popitem(last=False)
        self._ws.move_to_end(still)
        return self._ws[still]

    @torch.no_grad()
    def _computed(self, still: Still) -> Tensor:
        """Source, map, truncation, mixing, moves."""
        sampler, seed = self.sampler(still), [still.seed]
        ws = self._source(still.source, still.seed, sampler)
        if still.x or still.y:
            right, down = sampler.ws([still.seed + 1]), sampler.ws([still.seed + 2])
            x, y = (ws.new_tensor([value]) for value in (still.x, still.y))
            ws = plane(ws, right - ws, down - ws, x, y)[0, 0]
        ws = sampler.truncated(ws, seed)
        if still.mixed:
            other = sampler.truncated(self._source(still.mix_source, still.mix_seed, sampler), [still.mix_seed])
            ws = mix(ws, other, self._slots(still.mixed))
        for move in still.moves:
            if move.strength:
                found = self.directions(move.set)
                if move.index >= len(found):
                    raise UserError(
                        f"direction {move.index}",
                        rule=f"{move.set} has {len(found)} directions",
                        fix=f"Use 0 to {len(found) - 1}",
                    )
                layers = range(move.layers[0], move.layers[-1] + 1) if move.layers else None
                ws = found.move(ws, move.index, move.strength, None if layers is None else self._slots(layers))
        return ws

    def _source(self, name: str | None, seed: int, sampler: Sampler) -> Tensor:
        if name is None:
            return sampler.ws([seed])
        if name not in self.sources:
            raise UserError(f"source={name}", rule="this projected image is no longer there", fix="Drop it again")
        return self.sources[name]

    def _slots(self, slots: Sequence[int]) -> list[int]:
        count = self.generator.num_ws
        if max(slots) >= count:
            raise UserError(
                f"layer {max(slots)}", rule=f"this network has {count} style layers", fix=f"Use 0 to {count - 1}"
            )
        return list(slots)

    @functools.cached_property
    def _centers(self) -> Tensor:
        return class_centers(self.generator, torch.arange(self.generator.num_classes))


def video_timing(keyframes: Sequence[Keyframe], loop: bool, fps: float) -> Timing:
    """The frames of a video through keyframes; their times begin at the first one."""
    start = keyframes[0].seconds if keyframes else 0.0
    return Timing(fps, None, [keyframe.seconds - start for keyframe in keyframes], closed=loop)
