"""The training set: uint8 pictures with labels, from a folder, a zip, or the OpenMoji portraits."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from stylegen.data import openmoji
from stylegen.data.fingerprint import fingerprint
from stylegen.data.pictures import Header, decode, read_header
from stylegen.data.source import Source, open_source
from stylegen.errors import UserError
from stylegen.spec import MAX_RESOLUTION, MIN_RESOLUTION, ImageSpec, is_power_of_two

OPENMOJI = "openmoji"
MAX_BYTES_IN_MEMORY = 2 * 2**30

_HEAD_BYTES = 2**16  # enough for the header of nearly every file


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Square pictures of one size, as they are stored, and one-hot labels.

    Item i is ``(image, label)``: uint8 [C, H, W] in [0, 255] and float32 [num_classes], which is empty
    without labels. With `mirror` the items from `num_images` on are the pictures again, flipped left to
    right. Below 2 GiB the pixels are decoded once and kept; above, every header is checked first and
    pictures are decoded when asked for.

    Args:
        path: a folder, a .zip, or the word ``openmoji`` (a folder of that name is ``./openmoji``).
        resolution: side in pixels, a power of two from 8 to 2048; by default that of the pictures, and 32
            for ``openmoji``, which is drawn at any power of two from 16 to 256.
        use_labels: give the class labels of `dataset.json`.
        mirror: double the set with mirror images.

    Attributes:
        spec: resolution, channels, and number of classes (0 without `use_labels`).
        name: of the dataset: what its metadata say, else the name of the file or folder.
        class_names: from the metadata, if they are there.
        num_images: number of pictures, mirror images not counted.

    Raises:
        UserError: no such path; no pictures; a picture that is not square, not of the common size and
            channels, of another resolution than asked for, or cannot be decoded; labels that do not fit.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int | None = None,
        use_labels: bool = False,
        mirror: bool = False,
    ) -> None:
        if str(path) == OPENMOJI:
            path = openmoji.dataset_path(openmoji.DEFAULT_RESOLUTION if resolution is None else resolution)
        self.source = open_source(path)
        self.mirror = mirror
        self._keys = self.source.keys()
        if not self._keys:
            raise UserError(
                f"data.path={path} holds no pictures",
                rule="pictures are .png, .jpg, .jpeg or .webp files, at any depth",
                fix="Give the path of a folder or zip with pictures",
            )
        header = self._read_header(self._keys[0])
        self._check_header(header, resolution)
        self._labels = [self.source.label(key) for key in self._keys]
        self.class_names = _class_names(self.source)
        self._classes = self._index_classes() if use_labels else None
        self.spec = ImageSpec(header.width, header.channels, self._count_classes())
        self.name = str(self.source.metadata.get("name") or self.source.path.stem)
        self.num_images = len(self._keys)
        self._pixels = self._load(header)
        self.source.close()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of decoded pixels and labels (see `stylegen.data.fingerprint`), whatever `use_labels` says.

        Reads every picture once when they are not kept in memory.
        """
        pictures = (self._picture(i).numpy() for i in range(self.num_images))
        return fingerprint(pictures, self._labels)

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
            images = self._pixels[numbers]
        else:
            images = torch.stack([self._picture(i) for i in numbers.tolist()])
        images[flipped] = images[flipped].flip(-1)
        return images, self._one_hot(numbers)

    def labels(self) -> Tensor:
        """float32 [num_images, num_classes]: the labels of all pictures, one-hot."""
        return self._one_hot(torch.arange(self.num_images))

    def _one_hot(self, numbers: Tensor) -> Tensor:
        if self._classes is None:
            return torch.empty(len(numbers), 0)
        return functional.one_hot(self._classes[numbers], self.spec.num_classes).float()

    def _picture(self, number: int) -> Tensor:
        if self._pixels is not None:
            return self._pixels[number]
        key = self._keys[number]
        return decode(self.source.read(key), self._where(key))

    def _where(self, key: str) -> str:
        return str(self.source.path / key)

    def _read_header(self, key: str) -> Header:
        try:
            return read_header(self.source.read(key, _HEAD_BYTES), self._where(key))
        except UserError:  # long metadata before the pixels, or a format that wants the whole file
            return read_header(self.source.read(key), self._where(key))

    def _load(self, first: Header) -> Tensor | None:
        """All pixels when they fit into memory, or None; every picture is checked against the first."""
        shape = (self.num_images, first.channels, first.height, first.width)
        if torch.Size(shape).numel() > MAX_BYTES_IN_MEMORY:
            for key in self._keys:
                self._check_same(key, self._read_header(key), first)
            return None
        pixels = torch.empty(shape, dtype=torch.uint8)
        for i, key in enumerate(self._keys):
            picture = decode(self.source.read(key), self._where(key))
            channels, height, width = picture.shape
            self._check_same(key, Header(width, height, channels), first)
            pixels[i] = picture
        return pixels

    def _check_header(self, header: Header, resolution: int | None) -> None:
        where = self._where(self._keys[0])
        if header.width != header.height:
            raise UserError(
                f"{where} is {header.width}x{header.height}",
                rule="training pictures are square",
                fix="Crop or pad the pictures to squares",
            )
        if not (is_power_of_two(header.width) and MIN_RESOLUTION <= header.width <= MAX_RESOLUTION):
            raise UserError(
                f"{where} is {header.width}x{header.height}",
                rule=f"resolutions are powers of two from {MIN_RESOLUTION} to {MAX_RESOLUTION}",
                fix="Resize the pictures to the nearest power of two",
            )
        if resolution not in (None, header.width):
            raise UserError(
                f"resolution={resolution}, but {where} is {header.width}x{header.height}",
                rule="pictures are used at the size in which they are stored",
                fix=f"Leave resolution out, give {header.width}, or resize the pictures",
            )

    def _check_same(self, key: str, header: Header, first: Header) -> None:
        if header != first:
            raise UserError(
                f"{self._where(key)} is {header}, {self._where(self._keys[0])} is {first}",
                rule="all pictures of a dataset have the same size and channels",
                fix="Resize or convert one of them, or remove it",
            )

    def _index_classes(self) -> Tensor:
        classes = [label for label in self._labels if isinstance(label, int)]
        if len(classes) < len(self._labels):
            found = "no labels" if self._labels[0] is None else "vectors as labels"
            raise UserError(
                f"use_labels=true, but {self.source.path} has {found}",
                rule="labels are class indices in dataset.json, one for each picture",
                fix="Set use_labels=false, or add labels",
            )
        return torch.tensor(classes)

    def _count_classes(self) -> int:
        """One more than the highest index, or as many as there are names: rare classes may have no picture."""
        if self._classes is None:
            return 0
        highest = int(self._classes.max())
        if self.class_names is None:
            return highest + 1
        if len(self.class_names) <= highest:
            raise UserError(
                f"{self.source.path} has class {highest}, and {len(self.class_names)} class_names",
                rule="each class has a name, in the order of the indices",
                fix="Complete class_names in dataset.json, or remove them",
            )
        return len(self.class_names)


def _class_names(source: Source) -> list[str] | None:
    names = source.metadata.get("class_names")
    return [str(name) for name in names] if isinstance(names, list) else None
