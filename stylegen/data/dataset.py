"""The training set: uint8 pictures with labels, from any source, or the OpenMoji portraits."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegen.bounds import Choice, Free, Names, PathRule, Range, Seed
from stylegen.data import openmoji
from stylegen.data.consistency import check_alike, check_trainable, header_of, place_of
from stylegen.data.decoded import DecodedPixels, find_place, no_room, open_decoded
from stylegen.data.fingerprint import combine, picture_digest
from stylegen.data.label_table import LabelTable
from stylegen.data.pictures import Header, decode
from stylegen.data.prepare.metadata import Label
from stylegen.data.sources.source import Source, open_source
from stylegen.data.subset import choose
from stylegen.errors import DamagedFile, UserError, unknown_choice
from stylegen.one_hot import OneHot
from stylegen.spec import ImageSpec

OPENMOJI = "openmoji"
CACHES = ("auto", "memmap", "device", "off")
MAX_BYTES_IN_MEMORY = 2 * 2**30
_SPOT_CHECKS = 64  # pictures


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Square pictures of one size, as they are stored, and their labels.

    Item i is ``(image, label)``: uint8 [C, H, W] in [0, 255] and float32 [num_classes], one-hot or a vector of
    attributes, and empty without labels. With `mirror` the items from `num_images` on are the pictures again,
    flipped left to right.

    Args:
        path: a folder, .zip, .lmdb or .parquet, or the word ``openmoji`` (a folder of that name is ``./openmoji``).
        resolution: side in pixels, a power of two from 8 to 2048; by default that of the pictures, and 32
            for ``openmoji``, which is drawn at any power of two from 16 to 256.
        use_labels: give the labels of the dataset.
        mirror: double the set with mirror images.
        classes: use pictures of these classes only, names or indices; labels stay as they are.
        max_images: use at most so many pictures, drawn with `subset_seed`.
        subset_seed: another seed, another choice.
        cache: where decoded pixels are kept. "auto": in memory below 2 GiB, else as "memmap" if there is room on
            the disk, else nowhere. "memmap": in a file beside the dataset or in the cache folder, built on first
            use (see `stylegen.data.decoded`). "device": on the device that trains, once `to_device` is called.
            "off": decoded whenever they are asked for.

    Attributes:
        spec: resolution, channels, and width of the labels (0 without `use_labels`).
        name: of the dataset: what its metadata say, else the name of the file or folder.
        class_names: from the metadata, if they are there.
        num_images: number of pictures, mirror images not counted.

    Raises:
        UserError: no such path; no pictures; a picture that is not square, not of the common size and
            channels, of another resolution than asked for, or cannot be decoded; labels that do not fit; a decoded
            cache of something else.
    """

    def __init__(
        self,
        path: Annotated[str | Path, PathRule(), Free()],
        resolution: Annotated[int, Range(8, 2048)] | None = None,
        use_labels: bool = False,
        mirror: bool = False,
        classes: Annotated[Sequence[str], Names((0, 65536))] | None = None,
        max_images: Annotated[int, Range(1, 2**40)] | None = None,
        subset_seed: Seed = 0,
        cache: Annotated[str, Choice(("auto", "memmap", "device", "off")), Free()] = "auto",
    ) -> None:
        if cache not in CACHES:
            raise unknown_choice("data.cache", cache, CACHES)
        if str(path) == OPENMOJI:
            path = openmoji.dataset_path(openmoji.DEFAULT_RESOLUTION if resolution is None else resolution)
        self.source = open_source(path)
        self.mirror, self.cache = mirror, cache
        keys = self._all_keys(path)
        self.class_names = _class_names(self.source)
        labels = [self.source.label(key) for key in keys]
        self._numbers = choose(labels, self.class_names, classes, max_images, subset_seed)
        self._keys = [keys[number] for number in self._numbers]
        self._labels = [labels[number] for number in self._numbers]
        self.num_images = len(self._keys)
        header = header_of(self.source, self._keys[0])
        check_trainable(header, place_of(self.source, self._keys[0]), resolution)
        self._table = self._read_labels() if use_labels else None
        self.spec = ImageSpec(header.width, header.channels, self._table.num_classes if self._table else 0)
        self.name = str(self.source.metadata.get("name") or self.source.path.stem)
        self._notices: list[str] = []
        self._pixels: Tensor | None = None
        self._decoded: DecodedPixels | None = None
        self._digests, self._verified = self.source.digests(), bytearray(self.num_images)
        self._load(header, len(keys))
        self.source.close()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of decoded pixels and labels (see `stylegen.data.fingerprint`), whatever `use_labels` says.

        It is computed from the pixels where these are in memory. A decoded cache, or a dataset that `prepare` has
        packed, holds a digest of each picture, with which every picture is compared when it is first read; some are
        read now, so that no dataset passes for another one. Else all are read.

        Raises:
            UserError: a picture is not the one that its digest says.
        """
        if self._digests is None or self._pixels is not None:
            digests = [picture_digest(self._picture(i).cpu().numpy()) for i in range(self.num_images)]
            return combine(digests, self._labels)
        for number in range(0, self.num_images, -(-self.num_images // _SPOT_CHECKS)):
            self._picture(number)
        return combine((self._digests[number] for number in self._numbers), self._labels)

    def notices(self) -> list[str]:
        """What the user should know before the training, one sentence each."""
        notices = list(self._notices)
        if self._table is None and self._labels[0] is not None:
            notices.append(
                f"{self.source.path} has labels, which an unconditional model does not use; "
                "data.use_labels=true trains a conditional one"
            )
        return notices

    def __len__(self) -> int:
        return self.num_images * (2 if self.mirror else 1)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.batch([index])
        return images[0], labels[0]

    def batch(self, indices: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Several items at once: uint8 [N, C, H, W] and float32 [N, num_classes].

        Raises:
            IndexError: an index outside [0, len(self)).
        """
        items = torch.as_tensor(indices, dtype=torch.int64)
        outside = items[(items < 0) | (items >= len(self))]
        if len(outside):
            raise IndexError(f"item {outside[0].item()} of a dataset of {len(self)}")
        numbers, flipped = items % self.num_images, items >= self.num_images
        if self._pixels is not None:
            numbers, flipped = numbers.to(self._pixels.device), flipped.to(self._pixels.device)
            images = self._pixels.index_select(0, numbers)  # copies rows; indexing goes pixel by pixel
        elif self._decoded is not None:
            images = self._decoded.gather([self._numbers[i] for i in numbers.tolist()])
        else:
            images = torch.stack([self._picture(i) for i in numbers.tolist()])
        if images.is_cpu:
            images[flipped] = images[flipped].flip(-1)
        elif self.mirror:  # indexing by a mask would make the CPU wait for the GPU
            images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
        return images, self._rows(numbers)

    def labels(self) -> Tensor | OneHot:
        """[num_images, num_classes]: the labels of all pictures."""
        return torch.empty(self.num_images, 0) if self._table is None else self._table.table.to(torch.device("cpu"))

    def to_device(self, device: torch.device) -> None:
        """Keep all pixels and labels on `device`; batches come from there, and the dataset needs no workers.

        Raises:
            UserError: more pixels than the GPU has memory.
        """
        shape = (self.num_images, self.spec.channels, self.spec.resolution, self.spec.resolution)
        if device.type == "cuda":
            needed, free = torch.Size(shape).numel(), torch.cuda.mem_get_info(device)[0]
            if needed > 0.8 * free:
                raise UserError(
                    f"data.cache=device for {self.source.path}",
                    rule=f"its pixels take {needed / 2**30:.1f} GiB, of {free / 2**30:.1f} that are free on {device}",
                    fix="Use data.cache=memmap",
                )
        if self._pixels is None:
            pixels = torch.empty(shape, dtype=torch.uint8, device=device)
            for i in range(self.num_images):
                pixels[i] = self._picture(i)
            self._pixels = pixels
        self._pixels = self._pixels.to(device)
        if self._table is not None:
            self._table.to(device)

    def _rows(self, numbers: Tensor) -> Tensor:
        if self._table is None:
            return torch.empty(len(numbers), 0, device=numbers.device)
        return self._table.rows(numbers)

    def _picture(self, number: int) -> Tensor:
        if self._pixels is not None:
            return self._pixels[number]
        if self._decoded is not None:
            return self._decoded.gather([self._numbers[number]])[0]
        key = self._keys[number]
        picture = decode(self.source.read(key), place_of(self.source, key))
        if self._digests is not None and not self._verified[number]:
            if picture_digest(picture.numpy()) != self._digests[self._numbers[number]]:
                raise _not_as_prepared(place_of(self.source, key))
            self._verified[number] = 1
        return picture

    def _all_keys(self, path: str | Path) -> list[str]:
        keys = self.source.keys()
        if not keys:
            raise UserError(
                f"data.path={path} holds no pictures",
                rule="pictures are .png, .jpg, .jpeg or .webp files, at any depth",
                fix="Give the path of a folder or zip with pictures",
            )
        return keys

    def _load(self, header: Header, total: int) -> None:
        """Choose where pixels are kept; every picture is checked against the first, now or when that was made."""
        size = self.num_images * header.channels * header.height * header.width
        if self.cache in ("auto", "device") and size <= MAX_BYTES_IN_MEMORY:
            self._pixels = self._decode_all(header)
            return
        if self.cache != "off":
            place = find_place(self.source, total, header)
            if place is not None:
                self._decoded = open_decoded(self.source, header, place)
                self._digests = self._decoded.digests
                return
            if self.cache == "memmap":
                raise no_room(self.source, total, header)
            self._notices.append("no disk has room for the decoded pixels: each picture is decoded again and again")
        for key in self._keys:
            self._check(key, header_of(self.source, key), header)

    def _decode_all(self, first: Header) -> Tensor:
        pixels = torch.empty(self.num_images, first.channels, first.height, first.width, dtype=torch.uint8)
        for i, key in enumerate(self._keys):
            picture = decode(self.source.read(key), place_of(self.source, key))
            channels, height, width = picture.shape
            self._check(key, Header(width, height, channels), first)
            pixels[i] = picture
        return pixels

    def _check(self, key: str, header: Header, first: Header) -> None:
        check_alike(place_of(self.source, key), header, place_of(self.source, self._keys[0]), first)

    def _read_labels(self) -> LabelTable:
        labels: list[Label] = [label for label in self._labels if label is not None]
        if len(labels) < len(self._labels):
            raise UserError(
                f"use_labels=true, but {self.source.path} has no labels",
                rule="a conditional model needs a label for each picture",
                fix="Set data.use_labels=false, or prepare the dataset with labels=folders|FILE.csv|FILE.json",
            )
        return LabelTable(labels, self.class_names, str(self.source.path))


def _not_as_prepared(where: str) -> DamagedFile:
    return DamagedFile(
        f"{where} is not the image that was prepared",
        rule="its pixels match their digest in dataset.json",
        fix="Copy or prepare the dataset again",
    )


def _class_names(source: Source) -> list[str] | None:
    names = source.metadata.get("class_names")
    return [str(name) for name in names] if isinstance(names, list) else None
