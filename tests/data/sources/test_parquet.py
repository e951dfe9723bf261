"""Parquet in the hub's layouts: structs or plain bytes, with or without labels, one file or several shards."""

import json
import pickle
import sys

import pytest

from stylegen.data.sources import open_source
from stylegen.data.sources import parquet as module
from stylegen.data.sources.parquet import write_parquet
from stylegen.errors import UserError
from tests.support.datasets import encode

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

IMAGES = [encode(i) for i in range(5)]


def write(path, columns, metadata=None, **options):
    table = pyarrow.table(columns)
    parquet.write_table(table.replace_schema_metadata(metadata), path, **options)
    return path


def hub(names):
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}})}


def contents(source):
    return [source.read(key) for key in source.keys()]  # noqa: SIM118


def test_structs_with_class_labels(tmp_path):
    rows = [{"bytes": data, "path": None} for data in IMAGES]
    path = write(tmp_path / "x.parquet", {"label": [0, 1, 2, 1, 0], "image": rows}, hub(["a", "b", "c"]))
    source = open_source(path)
    assert source.keys()[1] == "x/00000001"
    assert contents(source) == IMAGES
    assert [source.label(key) for key in source.keys()] == [0, 1, 2, 1, 0]  # noqa: SIM118
    assert source.metadata["class_names"] == ["a", "b", "c"]
    source.close()


def test_bare_bytes_and_no_labels(tmp_path):
    source = open_source(write(tmp_path / "x.parquet", {"text": ["t"] * 5, "blob": IMAGES}))
    assert contents(source) == IMAGES
    assert source.label("x/00000000") is None
    assert source.metadata == {}
    assert source.read("x/00000002", 8) == IMAGES[2][:8]
    with pytest.raises(KeyError):
        source.read("x/00000005")
    source.close()


def test_names_and_vectors_are_labels(tmp_path):
    named = open_source(write(tmp_path / "n.parquet", {"img": IMAGES[:2], "label": ["dog", "cat"]}))
    assert (named.label("n/00000000"), named.metadata["class_names"]) == (1, ["cat", "dog"])
    vectors = open_source(write(tmp_path / "v.parquet", {"img": IMAGES[:2], "label": [[0.5, 1.0], [0.0, 0.0]]}))
    assert vectors.label("v/00000000") == (0.5, 1.0)
    secret = open_source(write(tmp_path / "s.parquet", {"img": IMAGES[:2], "label": [-1, -1]}))
    assert secret.label("s/00000000") is None
    for source in (named, vectors, secret):
        source.close()


def test_shards_follow_one_another_and_pickle(tmp_path):
    for shard in (0, 1):
        images = {str(i): data for i, data in enumerate(IMAGES[3 * shard : 3 * shard + 3])}
        write_parquet(tmp_path / f"train-{shard}.parquet", images.items(), list(range(len(images))))
    source = open_source(tmp_path)
    assert source.keys()[3] == "train-1/00000000"
    assert contents(pickle.loads(pickle.dumps(source))) == contents(source) == IMAGES
    stamp = source.stamp()
    source.close()
    assert contents(source) == IMAGES
    source.close()
    write_parquet(tmp_path / "train-1.parquet", [("x", IMAGES[0])], [0])
    assert open_source(tmp_path).stamp() != stamp


def test_groups_of_rows(tmp_path, monkeypatch):
    source = open_source(write(tmp_path / "x.parquet", {"image": IMAGES}, row_group_size=2))
    keys = source.keys()
    assert [source.read(keys[i]) for i in (4, 0, 3, 1)] == [IMAGES[i] for i in (4, 0, 3, 1)]
    source.close()
    monkeypatch.setattr(module, "MAX_GROUP_BYTES", 10)
    with pytest.raises(UserError, match="row group 0 unpacks to"):
        source.read(keys[0])
    source.close()


def test_a_folder_with_images_is_a_folder_of_images(tmp_path):
    (tmp_path / "a.png").write_bytes(IMAGES[0])
    write(tmp_path / "x.parquet", {"image": IMAGES})
    assert open_source(tmp_path).keys() == ["a.png"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"text": ["a"], "label": [1]}, "one column must contain images"),
        ({"image": [IMAGES[0]] * 2, "label": [1, None]}, "labels contains"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, columns, words):
    with pytest.raises(UserError, match=words):
        open_source(write(tmp_path / "x.parquet", columns))


def test_images_elsewhere_and_other_columns(tmp_path):
    rows = [{"bytes": None, "path": "https://example.org/x.png"}]
    source = open_source(write(tmp_path / "x.parquet", {"image": pyarrow.array(rows, pyarrow.struct(TYPES))}))
    with pytest.raises(UserError, match="x/00000000 contains no bytes"):
        source.read("x/00000000")
    source.close()
    write(tmp_path / "y.parquet", {"other": [1]})
    with pytest.raises(UserError, match="all shards in a folder must have the same columns"):
        open_source(tmp_path)


TYPES = [("bytes", pyarrow.binary()), ("path", pyarrow.string())]


def test_broken_files(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(UserError, match="complete, undamaged Parquet file"):
        open_source(tmp_path / "x.parquet")


def test_without_the_package(tmp_path, monkeypatch):
    path = write(tmp_path / "x.parquet", {"image": IMAGES})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"stylegen\[parquet\]"):
        open_source(path)


def test_shards_whose_columns_have_other_types(tmp_path):
    rows = [{"bytes": data, "path": None} for data in IMAGES]
    write(tmp_path / "a.parquet", {"image": rows})
    for column in ([{"path": "x"}] * 5, [7] * 5, [None] * 5):
        write(tmp_path / "b.parquet", {"image": column})
        source = open_source(tmp_path)
        with pytest.raises(UserError, match="contains no bytes"):
            contents(source)
        source.close()


def test_a_column_of_labels_that_one_shard_lacks(tmp_path):
    write(tmp_path / "a.parquet", {"image": IMAGES, "label": [0] * 5})
    write(tmp_path / "b.parquet", {"image": IMAGES})
    with pytest.raises(UserError, match="all shards in a folder must have the same columns"):
        open_source(tmp_path)
    write(tmp_path / "b.parquet", {"image": IMAGES, "label": [None] * 5})
    with pytest.raises(UserError, match="labels contains"):
        open_source(tmp_path)


def test_rows_without_number_are_not_counted_one_by_one(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": [IMAGES[0]] * 100_000}, use_dictionary=True)
    assert path.stat().st_size < 32 * 100_000
    with pytest.raises(UserError, match="claims 100000 rows"):
        open_source(path)
