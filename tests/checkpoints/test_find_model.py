"""Trained networks by path, name and URL: what is downloaded, converted, kept, and refused."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegen.__main__ import main
from stylegen.bounds import FilePath, check
from stylegen.checkpoints import packaged
from stylegen.checkpoints.find_model import find_model, find_native, is_native, is_shared
from stylegen.checkpoints.published_models import PUBLISHED_MODELS, PublishedModel
from stylegen.checkpoints.sealed import save_sealed
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.checkpoints.transfer import read_weights
from stylegen.config.initial_networks import initial_networks
from stylegen.errors import UserError
from stylegen.latent.model import Model
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine.subjects import find_snapshots
from stylegen.networks import GENERATORS
from tests.support.datasets import encode, write_folder
from tests.support.foreign_files import nvidia_file
from tests.support.golden import files, load

GOLDEN, UNCONDITIONAL = (
    load(next(f.values[0] for f in files("stylegan2") if name in str(f.values[0])))
    for name in ("conditional", "resnet_skip")
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STYLEGEN_WEIGHTS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """URL of a server for the files of `tmp_path`; it announces a byte too many for names that begin with "cut",
    and takes three seconds for names that begin with "slow".

    The requests are the lines of the file `requests`.
    """

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, directory=str(tmp_path), **kwargs)

        def send_header(self, keyword: str, value: str) -> None:
            cut = keyword == "Content-Length" and self.path.startswith("/cut")
            super().send_header(keyword, str(int(value) + 1) if cut else value)

        def log_message(self, format: str, *args: object) -> None:
            time.sleep(3 * self.path.startswith("/slow"))
            with (tmp_path / "requests").open("a") as file:
                file.write(f"{self.path[:80]}\n")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_a_path_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("portraits64") == packaged.FOLDER / "portraits64.safetensors"
    Path("portraits64").mkdir()
    assert find_model("portraits64") == Path("portraits64")


def test_foreign_files_are_converted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = nvidia_file(GOLDEN, tmp_path / "official.pkl")
    first = find_native(source)
    written = first.stat().st_mtime_ns
    assert first.is_relative_to(cache)
    assert is_shared(first)
    assert not is_shared(source)
    assert find_native(source.rename(tmp_path / "moved.pkl")).stat().st_mtime_ns == written
    assert find_native(tmp_path / "moved.pkl", all_networks=True) == first.with_suffix(".ckpt")
    assert set(read_weights(tmp_path / "moved.pkl").networks) == {"G", "D", "G_ema"}
    (tmp_path / "moved.pkl").write_bytes((tmp_path / "moved.pkl").read_bytes()[:-9])
    with pytest.raises(UserError, match=r"snapshot=.*moved\.pkl.*damaged"):
        find_native(tmp_path / "moved.pkl")
    assert sorted(p.name for p in (cache / "imported").rglob("*") if p.is_file()) == [
        "official.ckpt",
        "official.safetensors",
    ]


def test_files_are_recognized_by_their_content(tmp_path: Path, server: str) -> None:
    """Snapshots and checkpoints of any name; pickles and archives of other programs named .ckpt."""
    shutil.copy(packaged.FOLDER / "portraits64.safetensors", tmp_path / "faces")
    for name in (tmp_path / "faces", f"{server}/faces"):
        assert load_snapshot(name).generator.resolution == 64
        assert set(read_weights(name).networks) == {"G", "G_ema"}
        assert initial_networks(str(name)).resolution == 64
    nvidia_file(GOLDEN, tmp_path / "x.ckpt")
    weights = find_native(tmp_path / "x.ckpt", all_networks=True)
    assert weights != tmp_path / "x.ckpt"
    shutil.copy(weights, tmp_path / "weights")
    assert set(read_weights(tmp_path / "weights").networks) == {"G", "D", "G_ema"}
    assert initial_networks(str(tmp_path / "weights")).resolution == 16
    torch.save({"weights": {}}, tmp_path / "old.ckpt")  # without a hash
    torch.save({"g_ema": {}}, tmp_path / "foreign.ckpt")
    shutil.copy(tmp_path / "x.ckpt", tmp_path / "y.safetensors")
    native = {name: is_native(tmp_path / name) for name in ("old.ckpt", "foreign.ckpt", "y.safetensors")}
    assert native == {"old.ckpt": True, "foreign.ckpt": False, "y.safetensors": False}


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can become larger than `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_one_line(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the snapshot and for the weights beside it; nothing is left."""
    source = nvidia_file(GOLDEN, tmp_path / "official.pkl")
    size = find_native(source).stat().st_size
    shutil.rmtree(cache)
    commands = {f"out={tmp_path / 'x.safetensors'}": ["convert", f"source={source}"], "seeds=0": ["sample"]}
    for limit in (size - 1, size + 1):
        for last, command in commands.items():
            with full_disk(limit):
                assert main([*command, *[f"snapshot={source}"] * (command == ["sample"]), last]) in (1, 2)
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("error: ")
            assert "File too large" in line
    assert [path for path in tmp_path.rglob("*.*") if path.is_file() and path.suffix != ".lock"] == [source]
    with (tmp_path / "a").open("wb", buffering=0) as file, full_disk(10**5), pytest.raises(OSError, match="too large"):
        save_sealed({"a": torch.zeros(10**5)}, file)  # torch wraps the error of a large write


def test_a_finished_conversion_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache may be read-only, and the snapshot appears last, when both files are complete."""
    renamed, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, target: (renamed.append(target.name), replace(path, target))[1])
    source = nvidia_file(GOLDEN, tmp_path / "official.pkl")
    found = find_native(source)
    assert [name for name in renamed if not name.startswith(".")] == ["official.ckpt", "official.safetensors"]

    def read_only(*arguments: object, **options: object) -> None:
        raise AssertionError("locked")

    monkeypatch.setattr("stylegen.checkpoints.find_model.exclusive", read_only)
    assert find_native(source) == found


def test_samples_of_a_foreign_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seeds are NumPy's, and files are written to the current folder, not to the cache."""
    monkeypatch.chdir(tmp_path)
    nvidia_file(GOLDEN, Path("official.pkl"))
    assert main(["sample", "snapshot=official.pkl", "seeds=85", "class=2"]) == 0
    assert ", NumPy's seeds" in capsys.readouterr().out
    assert [path.name for path in Path("sampled").iterdir() if path.is_dir()] == ["official-images-psi0.7-class2"]
    model = Model.load("official.pkl")
    z = torch.from_numpy(np.random.RandomState(85).randn(1, model.generator.z_dim)).float()
    expected = model.mapping(z, torch.eye(5)[[2]], psi=0.7)
    assert torch.equal(model.ws(85, psi=0.7, label=2), expected)
    assert Sampler(load_snapshot("portraits64").generator).seed_source == Model.load("portraits64").seed_source
    model.seed_source = "stylegen"
    assert not torch.equal(model.ws(85, psi=0.7, label=2), expected)
    grid = ["sample", "snapshot=official.pkl", "mode=grid", "seeds=85", "captions=false"]
    files = [Path(f"{source}.png") for source in ("auto", "numpy", "stylegen")]
    for file in files:
        assert main([*grid, f"seed_source={file.stem}", f"out={file}"]) == 0
    auto, numpy, stylegen = (file.read_bytes() for file in files)
    assert auto == numpy != stylegen


@pytest.mark.usefixtures("thumbnail")
def test_metrics_of_a_foreign_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nvidia_file(UNCONDITIONAL, tmp_path / "official.pkl")
    data = write_folder(tmp_path / "data", {f"{i}.png": encode(i, (16, 16)) for i in range(16)})
    command = ["evaluate", "snapshot=official.pkl", f"data.path={data}", "metrics=[fd_random_vgg16]", "num_samples=16"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]["fd_random_vgg16"] > 0
    assert Path("official.metrics.json").exists()


def test_urls(tmp_path: Path, server: str, cache: Path) -> None:
    source = nvidia_file(GOLDEN, tmp_path / "official (1).pkl")
    found = find_model(f"{server}/official%20(1).pkl")
    assert found.read_bytes() == source.read_bytes()
    assert found.is_relative_to(cache)
    source.unlink()
    assert find_model(f"{server}/official%20(1).pkl") == found, "kept"
    assert load_snapshot(f"{server}/official%20(1).pkl").generator.resolution == 16
    for name, message in (("missing.pkl", "404"), ("cut.pkl", "connection ended after 4 of 5 bytes")):
        (tmp_path / "cut.pkl").write_bytes(b"abcd")
        with pytest.raises(UserError, match=rf"snapshot=.*{name}: its download failed \(.*{message}"):
            find_model(f"{server}/{name}")
    assert [path.name for path in (cache / "downloads").rglob("*") if path.is_file()] == ["official (1).pkl"]


def test_urls_with_queries(tmp_path: Path, server: str) -> None:
    """They are no patterns and no lists, and longer than a file's name may be."""
    shutil.copy(packaged.FOLDER / "portraits64.safetensors", tmp_path / "a.safetensors")
    for query in ("download=true", "files=*,[b]", "signature=" + "a" * 300):
        url = f"{server}/a.safetensors?{query}"
        assert find_snapshots(url) == [find_model(url)]
        check("snapshot", url, FilePath)
    name = "%C3%A4" * 200
    with pytest.raises(UserError, match="its download failed"):
        find_model(f"{server}/{name}")
    for text in ("~nosuch/x", "http://[/x"):
        with pytest.raises(UserError, match="snapshot="):
            find_model(text)


def test_a_wrong_download_can_be_repeated(tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A login page in place of the file, for example: the error names the file to delete."""
    for name, fix in (("x.pkl", r"again, delete (\S+)"), ("x.safetensors", r"Delete (\S+) and try again")):
        (tmp_path / name).write_text("<html>login</html>")
        with pytest.raises(UserError) as error:
            load_snapshot(f"{server}/{name}")
        found = re.search(fix, str(error.value))
        assert found is not None
        Path(found[1]).unlink()
    nvidia_file(GOLDEN, tmp_path / "x.pkl")
    assert load_snapshot(f"{server}/x.pkl").generator.resolution == 16
    out = tmp_path / "out.safetensors"
    assert main(["convert", f"source={server}/x.pkl", f"out={out}", "sha256=00"]) == 2
    assert "Delete " in capsys.readouterr().err
    digest = hashlib.sha256((tmp_path / "x.pkl").read_bytes()).hexdigest()
    assert main(["convert", f"source={server}/x.pkl", f"out={out}", f"sha256={digest.upper()}"]) == 0


def test_processes_download_and_convert_once(tmp_path: Path, server: str) -> None:
    """As the ranks of a training do: the others wait."""
    nvidia_file(GOLDEN, tmp_path / "slow.pkl")
    url = f"{server}/slow.pkl"
    code = f"from stylegen.checkpoints.find_model import find_native; print(find_native('{url}').stat().st_mtime_ns)"
    ranks = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    times = {rank.communicate(timeout=300)[0] for rank in ranks}
    assert len(times) == 1
    assert b"" not in times
    assert (tmp_path / "requests").read_text().splitlines() == ["/slow.pkl"]


def test_shared_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches, also behind links, and the Hub's files, which are links."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert is_shared(tmp_path / "hub" / "x")
    for chosen, other in (("real", "link"), ("link", "real")):
        monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / chosen))
        assert is_shared(tmp_path / other / "x")
        (tmp_path / "real" / "linked").unlink(missing_ok=True)
        (tmp_path / "real" / "linked").symlink_to("/elsewhere")
        assert is_shared(tmp_path / other / "linked")
    assert not is_shared(tmp_path / "x")


def test_weights_that_cannot_be_written(
    tmp_path: Path, server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only $STYLEGEN_WEIGHTS: the file is downloaded to the cache folder."""
    nvidia_file(GOLDEN, tmp_path / "official.pkl")
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(tmp_path / "weights" / "new"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "weights" and access(path, mode))
    monkeypatch.setitem(PUBLISHED_MODELS, "nvidia/tiny", PublishedModel(f"{server}/official.pkl", "noise", 16))
    assert find_model("nvidia/tiny") == cache / "downloads" / "official.pkl"
    assert not (tmp_path / "weights" / "new").exists()


def test_published_models(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in $STYLEGEN_WEIGHTS or downloaded to it; the network is compared with the table."""
    nvidia_file(GOLDEN, tmp_path / "official.pkl")
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setitem(PUBLISHED_MODELS, "nvidia/tiny", PublishedModel(f"{server}/official.pkl", "noise", 16))
    monkeypatch.setitem(PUBLISHED_MODELS, "nvidia/large", PublishedModel(f"{server}/official.pkl", "noise", 1024))
    monkeypatch.setitem(PUBLISHED_MODELS, "nvidia/gone", PublishedModel("http://127.0.0.1:1/gone.pkl", "noise", 16))
    snapshot = load_snapshot("nvidia/tiny")
    assert snapshot.path.name == "nvidia-tiny.safetensors"
    assert (tmp_path / "weights" / "official.pkl").exists()
    with pytest.raises(UserError, match=r"stylegan2 at 16 px: the published file holds stylegan2 at 1024 px"):
        load_snapshot("nvidia/large")
    with pytest.raises(
        UserError, match=r"nvidia/gone: .*weights.*lack gone\.pkl.*http://127\.0\.0\.1:1/gone\.pkl.*save it"
    ):
        load_snapshot("nvidia/gone")
    with pytest.raises(UserError, match=r"needs a browser\. Download https://drive.*karras2019stylegan-ffhq"):
        load_snapshot("nvidia/stylegan1_ffhq1024")


def test_the_table_of_published_models() -> None:
    rows = PUBLISHED_MODELS.values()
    assert len({row.filename for row in rows}) == len({row.url for row in rows}) == len(rows)
    assert all(row.url.startswith("https://") and row.filename.endswith(".pkl") for row in rows)
    assert all(row.network in GENERATORS for row in rows)
    assert all(row.title.endswith(", by hand") == row.url.startswith("https://drive.") for row in rows)
    assert {name for name in PUBLISHED_MODELS if str(PUBLISHED_MODELS[name].resolution) not in name} == {
        "nvidia/cifar10"
    }


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"Did you mean snapshot=nvidia/ffhq1024\?"):
        find_model("nvidia/ffhq_1024")
    with pytest.raises(UserError, match="models` lists"):
        find_model("quite another name")
    assert main(["models", "name=nvidia/ffhq2048"]) == 2
    assert "Did you mean nvidia/ffhq" in capsys.readouterr().err
    assert main(["models", "name=nvidia/ffhq256"]) == 0
    assert "non-commercial" in capsys.readouterr().out


def test_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requested = []

    def answer(repository: str, file: str, revision: str | None) -> str:
        requested.append((repository, file, revision))
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", answer)
    assert find_model("hf:someone/faces@v2") == tmp_path / "model.safetensors"
    assert requested == [("someone/faces", "model.safetensors", "v2")]

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("404 Client Error\nmore")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(
        UserError, match=r"snapshot=hf:someone/faces: model.*could not be downloaded \(404 Client Error\)"
    ):
        find_model("hf:someone/faces")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"snapshot=hf:someone/faces needs it\. Run pip install 'stylegen\[hub\]'"):
        find_model("hf:someone/faces")
