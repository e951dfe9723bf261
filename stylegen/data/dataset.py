"""The training set: uint8 images with labels, from any source, or the OpenMoji portraits."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegen.bounds import Choice, Free, Names, PathRule, Range, Seed
from stylegen.data import openmoji
from stylegen.data.decoding import Header, check_alike, check_trainable, decode, header_of, location
from stylegen.data.labels import label_table, labeled_rows, select
from stylegen.data.metadata import Label, class_names, combine, image_digest
from stylegen.data.pixel_cache import DecodedPixels, find_place, no_room, open_decoded
from stylegen.data.prepare.on_demand import conversion_notices, converted_path
from stylegen.data.sources import open_source
from stylegen.errors import DamagedFile, UserError, unknown_choice
from stylegen.one_hot import OneHot
from stylegen.spec import ImageSpec

OPENMOJI = openmoji.NAME
CACHES = ("auto", "memmap", "device", "off")
MAX_BYTES_IN_MEMORY = 2 * 2**30
_SPOT_CHECKS = 64  # images


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Square images of one size and their labels.

    Item i is ``(image, label)``: uint8 [C, H, W] in [0, 255], and float32 [num_classes]: one-hot, a vector of
    attributes, or empty without labels. With `mirror` the items from `num_images` on are the same images flipped left
    to right.

    Args:
        path: a folder, .zip, .lmdb or .parquet, or the word openmoji (a folder of that name is ./openmoji).
        resolution: side in pixels, a power of two from 8 to 2048; by default the images' own. openmoji is rendered at
            any power of two from 16 to 256, by default 32.
        use_labels: train a conditional model on the labels of the dataset.
        mirror: double the dataset with mirror images.
        classes: use images of these classes only, names or indices; the labels keep their indices.
        max_images: use a random subset of at most this size.
        subset_seed: seed of the random subset.
        convert: crop each image to its centered square, resize it to `resolution` and convert it to these channels, as
            `prepare` does, into the cache folder on first use. null uses the images as they are stored.
        labeled: keep the labels of this many images, as many of each class, chosen by `subset_seed`; others are zeros.
            Every second training image is a labeled one.
        cache: place of the decoded pixels. auto: in memory below 2 GiB, else memmap if a disk has room, else off.
            memmap: in a file beside the dataset or in the cache folder, built on first use. device: on the training
            device. off: nowhere; images are decoded on each access.

    Attributes:
        spec: resolution, channels, and width of the labels (0 without `use_labels`).
        name: the metadata's, else the name of the file or folder.
        class_names: the metadata's, in the order of the class indices; None without.
        num_images: number of images, without mirror images.
        labeled: int64 [L], the images with labels; None for all.

    Raises:
        UserError: no such path; no images; an image that is not square, differs from the first in size or channels,
            does not have the requested resolution, or cannot be decoded; labels that do not fit; a decoded cache made
            from other images.
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
        convert: Annotated[str, Choice(("rgb", "gray"))] | None = None,
        labeled: Annotated[int, Range(1, 2**40)] | None = None,
        cache: Annotated[str, Choice(("auto", "memmap", "device", "off")), Free()] = "auto",
    ) -> None:
        if cache not in CACHES:
            raise unknown_choice("data.cache", cache, CACHES)
        if str(path) == OPENMOJI:
            path = openmoji.dataset_path(openmoji.DEFAULT_RESOLUTION if resolution is None else resolution)
        self._notices: list[str] = []
        if convert is not None:
            path = self._convert(path, resolution, convert)
        self.source = open_source(path)
        self.mirror, self.cache = mirror, cache
        keys = self._all_keys(path)
        self.class_names = class_names(self.source.metadata)
        labels = [self.source.label(key) for key in keys]
        self._numbers = select(labels, self.class_names, classes, max_images, subset_seed)
        self._keys = [keys[number] for number in self._numbers]
        self._labels = [labels[number] for number in self._numbers]
        self.num_images = len(self._keys)
        header = header_of(self.source, self._keys[0])
        check_trainable(header, self.source, self._keys[0], resolution)
        self._table = self._read_labels() if use_labels else None
        self.labeled = None if labeled is None else self._choose_labeled(labeled, subset_seed)
        self.spec = ImageSpec(header.width, header.channels, 0 if self._table is None else self._table.shape[1])
        self.name = str(self.source.metadata.get("name") or self.source.path.stem)
        self._pixels: Tensor | None = None
        self._decoded: DecodedPixels | None = None
        self._digests, self._verified = self.source.digests(), bytearray(self.num_images)
        self._load(header, len(keys))
        self.source.close()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of decoded pixels and labels (see `stylegen.data.metadata`), independent of `use_labels`.

        Computed from pixels in memory, or from the digests in a decoded cache or a dataset made by `prepare`. Each
        image is verified against its digest when it is first read. A few are read here, to detect digests that belong
        to another dataset. Without digests all images are read.

        Raises:
            DamagedFile: an image does not match its digest.
        """
        if self._digests is None or self._pixels is not None:
            digests = [image_digest(self._image(i).cpu().numpy()) for i in range(self.num_images)]
            return combine(digests, self._labels)
        for number in range(0, self.num_images, -(-self.num_images // _SPOT_CHECKS)):
            self._image(number)
        return combine((self._digests[number] for number in self._numbers), self._labels)

    def notices(self) -> list[str]:
        """Notes for the user before training, one sentence each."""
        notices = list(self._notices)
        if self._table is None and self._labels[0] is not None:
            notices.append(
                f"{self.source.path} has labels, which an unconditional model ignores; "
                "data.use_labels=true trains a conditional one"
            )
        return notices

    def __len__(self) -> int:
        return self.num_images * (2 if self.mirror else 1)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.batch([index])
        return images[0], labels[0]

    def batch(self, indices: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
        """Several items: uint8 [N, C, H, W] and float32 [N, num_classes].

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
            images = self._pixels.index_select(0, numbers)  # copies whole rows; indexing copies pixel by pixel
        elif self._decoded is not None:
            images = self._decoded.gather([self._numbers[i] for i in numbers.tolist()])
        else:
            images = torch.stack([self._image(i) for i in numbers.tolist()])
        if images.is_cpu:
            images[flipped] = images[flipped].flip(-1)
        elif self.mirror:  # indexing by a mask would make the CPU wait for the GPU
            images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
        return images, self._rows(numbers)

    def labels(self) -> Tensor | OneHot:
        """[num_images, num_classes]: the labels of all images, also of those that `labeled` leaves out."""
        return torch.empty(self.num_images, 0) if self._table is None else self._table.to(torch.device("cpu"))

    def stored_labels(self) -> Tensor | OneHot | None:
        """The labels of all images, also without `use_labels`; None if the dataset has none."""
        if self._table is None and None in self._labels:
            return None
        return self._read_labels() if self._table is None else self.labels()

    def to_device(self, device: torch.device) -> None:
        """Moves all pixels and labels to `device`, from which batches are then gathered without workers.

        Raises:
            UserError: the pixels do not fit into the memory of the GPU.
        """
        shape = (self.num_images, self.spec.channels, self.spec.resolution, self.spec.resolution)
        if device.type == "cuda":
            needed, free = torch.Size(shape).numel(), torch.cuda.mem_get_info(device)[0]
            if needed > 0.8 * free:
                raise UserError(
                    f"data.cache=device for {self.source.path}",
                    rule=f"its pixels need {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free on {device}",
                    fix="Use data.cache=memmap",
                )
        if self._pixels is None:
            pixels = torch.empty(shape, dtype=torch.uint8, device=device)
            for i in range(self.num_images):
                pixels[i] = self._image(i)
            self._pixels = pixels
        self._pixels = self._pixels.to(device)
        if self._table is not None:
            self._table = self._table.to(device)

    def _rows(self, numbers: Tensor) -> Tensor:
        if self._table is None:
            return torch.empty(len(numbers), 0, device=numbers.device)
        if self.labeled is None:
            return self._table[numbers]
        self.labeled = self.labeled.to(numbers.device)  # once
        return self._table[numbers] * torch.isin(numbers, self.labeled)[:, None]

    def _choose_labeled(self, count: int, seed: int) -> Tensor:
        if self._table is None:
            raise UserError(
                f"data.labeled={count} data.use_labels=false",
                rule="without use_labels no label is used",
                fix="Use data.use_labels=true, or omit data.labeled",
            )
        return labeled_rows(self._table, count, seed)

    def _image(self, number: int) -> Tensor:
        if self._pixels is not None:
            return self._pixels[number]
        if self._decoded is not None:
            return self._decoded.gather([self._numbers[number]])[0]
        key = self._keys[number]
        image = decode(self.source.read(key), location(self.source, key))
        if self._digests is not None and not self._verified[number]:
            if image_digest(image.numpy()) != self._digests[self._numbers[number]]:
                raise DamagedFile(
                    f"{location(self.source, key)} is not the image that was prepared",
                    rule="its pixels must match their digest in dataset.json",
                    fix="Copy or prepare the dataset again",
                )
            self._verified[number] = 1
        return image

    def _convert(self, path: str | Path, resolution: int | None, channels: str) -> Path:
        if resolution is None:
            raise UserError(
                f"data.convert={channels} without data.resolution",
                rule="images are converted to one resolution",
                fix="Add data.resolution=64, or another power of two",
            )
        converted = converted_path(path, resolution, channels)
        self._notices += conversion_notices(converted)
        return converted

    def _all_keys(self, path: str | Path) -> list[str]:
        keys, unread = self.source.keys(), len(self.source.unread)
        if not keys:
            raise UserError(
                f"data.path={path} contains no images{f' (but {unread} of other formats)' * (unread > 0)}",
                rule="images are .png, .jpg, .jpeg or .webp files, at any depth",
                fix="Give the path of a folder or zip of images",
            )
        return keys

    def _load(self, header: Header, total: int) -> None:
        """Choose where pixels are kept. Each image is compared with the first, here or when the cache is built."""
        if self.cache in ("auto", "device") and self.num_images * header.num_bytes <= MAX_BYTES_IN_MEMORY:
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
            self._notices.append("no disk has room for the decoded pixels: each image is decoded on each access")
        for key in self._keys:
            self._check(key, header_of(self.source, key), header)

    def _decode_all(self, first: Header) -> Tensor:
        pixels = torch.empty(self.num_images, first.channels, first.height, first.width, dtype=torch.uint8)
        for i, key in enumerate(self._keys):
            image = decode(self.source.read(key), location(self.source, key))
            self._check(key, Header.of(image.shape), first)
            pixels[i] = image
        return pixels

    def _check(self, key: str, header: Header, first: Header) -> None:
        check_alike(location(self.source, key), header, location(self.source, self._keys[0]), first)

    def _read_labels(self) -> Tensor | OneHot:
        labels: list[Label] = [label for label in self._labels if label is not None]
        if len(labels) < len(self._labels):
            raise UserError(
                f"use_labels=true, but {self.source.path} has no labels",
                rule="a conditional model needs a label for each image",
                fix="Set data.use_labels=false, or prepare the dataset with labels=folders|FILE.csv|FILE.json",
            )
        return label_table(labels, self.class_names, str(self.source.path))
