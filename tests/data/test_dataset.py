"""Items, mirror images, labels, and one error message for each unusable dataset."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from stylegen.data import decoding
from stylegen.data.dataset import ImageDataset
from stylegen.data.decoding import decode
from stylegen.data.order import BatchSampler
from stylegen.errors import UserError
from stylegen.spec import ImageSpec
from tests.support.datasets import encode, write_archive, write_folder

FILES = {f"{i // 2}/{i}.png": encode(i) for i in range(5)}
LABELS = [[key, i % 3] for i, key in enumerate(FILES)]


@pytest.fixture(params=["auto", "off", "memmap", "device"])
def storage(request, monkeypatch):
    """Runs a test with pixels in memory, decoded on access, memory-mapped, and on a device."""
    monkeypatch.setattr(
        ImageDataset.__init__, "__defaults__", (*ImageDataset.__init__.__defaults__[:-1], request.param)
    )


@pytest.mark.usefixtures("storage")
def test_items_batches_and_mirror_images(pack):
    ds = ImageDataset(pack(FILES, {"labels": LABELS, "name": "five"}), use_labels=True, mirror=True)
    assert (ds.spec, ds.name, ds.num_images, len(ds)) == (ImageSpec(8, 3, 3), "five", 5, 10)
    stored = torch.stack([decode(data, "x") for data in FILES.values()])
    one_hot = torch.eye(3)[[0, 1, 2, 0, 1]]
    images, labels = ds.batch(range(10))
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.float32)
    assert torch.equal(images, torch.cat([stored, stored.flip(-1)]))
    assert torch.equal(labels, torch.cat([one_hot, one_hot]))
    assert torch.equal(ds.labels().dense(), one_hot)
    for i in (0, 4, 7):
        assert torch.equal(ds[i][0], images[i])
        assert torch.equal(ds[i][1], labels[i])
    assert torch.equal(ds.batch(torch.tensor([7, 0]))[0], images[[7, 0]])
    assert torch.equal(ds.batch(range(5))[0], stored), "flipping a batch left the stored pixels changed"


@pytest.mark.usefixtures("storage")
def test_without_labels(pack):
    ds = ImageDataset(pack(FILES, {"labels": LABELS}))
    assert ds.spec.num_classes == 0
    assert ds[0][1].shape == (0,)
    assert ds.batch([0, 1])[1].shape == (2, 0)
    assert ds.labels().shape == (5, 0)
    assert ds.name == "data"


@pytest.mark.usefixtures("storage")
def test_the_fingerprint_ignores_the_container(tmp_path):
    note = {"labels": LABELS}
    folder = write_folder(tmp_path / "data", FILES, note)
    packed = write_archive(tmp_path / "data.zip", dict(reversed(FILES.items())), note)
    same = [ImageDataset(folder), ImageDataset(packed), ImageDataset(packed, use_labels=True, mirror=True)]
    other = ImageDataset(write_folder(tmp_path / "other", {**FILES, "0/0.png": encode(9)}, note))
    unlabeled = ImageDataset(write_folder(tmp_path / "unlabeled", FILES))
    assert len({ds.fingerprint for ds in same}) == 1
    assert len({ds.fingerprint for ds in (*same, other, unlabeled)}) == 3


def test_class_names_count_classes_without_images(pack):
    note = {"labels": LABELS, "class_names": ["cat", "dog", "hen", "owl"]}
    ds = ImageDataset(pack(FILES, note), use_labels=True)
    assert ds.class_names == ["cat", "dog", "hen", "owl"]
    assert ds.labels().shape == (5, 4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels(pack, channels):
    ds = ImageDataset(pack({"x.png": encode(0, (16, 16), channels)}), resolution=16)
    assert ds.spec == ImageSpec(16, channels)


@pytest.mark.usefixtures("storage")
def test_loads_and_pickles(pack):
    ds = ImageDataset(pack(FILES, {"labels": LABELS}), use_labels=True, mirror=True)
    sampler = BatchSampler(len(ds), 4, 20, seed=0)
    copy = pickle.loads(pickle.dumps(ds))
    for (images, labels), indices in zip(DataLoader(copy, batch_sampler=sampler), sampler, strict=True):
        expected = ds.batch(indices)
        assert torch.equal(images, expected[0])
        assert torch.equal(labels, expected[1])
    for used in (ds, copy):
        used.source.close()


def test_items_outside(pack):
    ds = ImageDataset(pack(FILES))
    for index in (-1, 5):
        with pytest.raises(IndexError, match=f"item {index} of a dataset of 5"):
            ds[index]
    assert len(list(ds)) == 5


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({"notes.txt": b""}, {}, ["contains no images", ".png"]),
        ({"a.png": encode(0), "b.png": encode(1, (16, 16))}, {}, ["a.png", "8x8", "b.png", "16x16"]),
        ({"a.png": encode(0), "b.png": encode(1, (8, 16))}, {}, ["b.png", "8x16"]),
        (
            {"a.png": encode(0), "b.png": encode(1, channels=1)},
            {},
            ["a.png", "3 channels", "b.png", "1 channel,"],
        ),
        ({"a.png": encode(0, (16, 8))}, {}, ["a.png is 16x8", "square"]),
        ({"a.png": encode(0, (24, 24))}, {}, ["a.png is 24x24", "powers of two"]),
        ({"a.png": encode(0, (4, 4))}, {}, ["a.png is 4x4", "powers of two from 8"]),
        ({"a.png": encode(0)}, {"resolution": 16}, ["resolution=16", "a.png is 8x8"]),
        ({"a.png": encode(0)}, {"resolution": 0}, ["resolution=0", "a.png is 8x8"]),
        ({"a.png": encode(0), "b.png": b"renamed text"}, {}, ["b.png cannot be decoded", "not a PNG"]),
        ({"a.png": encode(0)}, {"use_labels": True}, ["use_labels=true", "no labels"]),
    ],
)
@pytest.mark.usefixtures("storage")
def test_sets_that_cannot_be_used(pack, files, options, words):
    with pytest.raises(UserError) as caught:
        ImageDataset(pack(files), **options)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, str(caught.value)


def test_labels_of_another_kind(pack):
    files = {"x.png": encode(0)}
    vectors = ImageDataset(pack(files, {"labels": [["x.png", [1.0, 0.5]]]}), use_labels=True)
    assert vectors.labels().tolist() == [[1.0, 0.5]]
    note = {"labels": [["x.png", 2]], "class_names": ["a", "b"]}
    with pytest.raises(UserError, match=r"class 2, and 2 class_names"):
        ImageDataset(pack(files, note, name="names"), use_labels=True)


def test_a_truncated_image_is_named_before_training(pack):
    data = encode(1, (64, 64))
    with pytest.raises(UserError, match=r"b\.png cannot be decoded"):
        ImageDataset(pack({"a.png": encode(0, (64, 64)), "b.png": data[: len(data) // 2]}))


def test_long_metadata_before_the_size(pack, monkeypatch):
    monkeypatch.setattr(decoding, "_HEAD_BYTES", 20)
    ds = ImageDataset(pack(FILES), cache="off")
    assert ds.spec.resolution == 8
    ds.source.close()


def test_no_such_path(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        ImageDataset(tmp_path / "nowhere")
