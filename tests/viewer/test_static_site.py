"""The folder of a static page, and what it refuses; no browser and no onnxruntime-web."""

import base64
import hashlib
import io
import json
import re
import stat
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.errors import UserError
from stylegen.latent.noise_inputs import stored_noise
from stylegen.latent.truncation import class_centers
from stylegen.viewer import static_site, web_runtime
from stylegen.viewer.static_site import PAGE, RECORD, STATIC, check_site, write_site
from stylegen.viewer.web_runtime import SHA256, find_runtime
from tests.support.runs import content, refused
from tests.support.static_site import empty_runtime
from tests.support.viewer import CLASSES, save_model

MEMBER = re.compile(r"^  (?:async )?(\w+)(?: = |\()", re.MULTILINE)  # of a class, public


@pytest.fixture
def model(tmp_path: Path) -> Snapshot:
    return load_snapshot(save_model(tmp_path / "tiny.safetensors"))


@pytest.fixture
def without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export of a graph takes seconds; tests/exports/test_browser_graphs.py has it."""
    monkeypatch.setattr(static_site, "write_browser_graphs", lambda source, folder: 0.0)


@pytest.fixture
def pinned(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with npm, which "downloads" a small package with the pinned hashes."""
    files = {name: name.encode() for name in SHA256}
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    folder = tmp_path_factory.mktemp("bin")
    (folder / "package.tgz").write_bytes(package.getvalue())
    write_npm(folder, f"/bin/cp {folder / 'package.tgz'} .")
    digest = base64.b64encode(hashlib.sha512(package.getvalue()).digest()).decode()
    monkeypatch.setattr(web_runtime, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setattr(web_runtime, "SHA256", {n: hashlib.sha256(data).hexdigest() for n, data in files.items()})
    monkeypatch.setenv("STYLEGEN_CACHE", str(folder / "cache"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_npm(folder: Path, line: str) -> None:
    (folder / "npm").write_text(f"#!/bin/sh\n{line}\n")
    (folder / "npm").chmod(0o755)


def test_both_engines_have_the_same_members() -> None:
    """The page uses the members that the head of page/engine.js lists."""
    server, static = ((folder / "engine.js").read_text() for folder in (PAGE, STATIC))
    listed = set(re.findall(r"(\w+)\(", server[: server.index("/**")])) | {"features"}
    for text in (server, static):
        members = set(MEMBER.findall(text[text.index("export class Engine") :])) - {"constructor"}
        assert members == listed - {"progress"}
    assert not {path.name for path in STATIC.iterdir()} & {path.name for path in PAGE.iterdir()} - {"engine.js"}


@pytest.mark.usefixtures("without_graphs")
def test_the_folder(model: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "new" / "site"
    runtime = empty_runtime(tmp_path / "runtime")
    result = write_site(model, "tiny", out, runtime, {})
    files = content(out)
    assert set(files) == {
        *(f"page/{path.name}" for path in (*PAGE.iterdir(), *STATIC.iterdir()) if path.suffix not in (".html", ".txt")),
        *("index.html", "LICENSES.txt", RECORD, "model/tensors.safetensors", "runtime/ort.js", "runtime/ort.wasm.gz"),
    }
    assert files["page/engine.js"] == (STATIC / "engine.js").read_bytes()
    index = files["index.html"].decode()
    assert "script-src 'self' 'wasm-unsafe-eval'" in index
    assert not re.search(r"(?:src|href)=\"(?:/|\w+:)", index)  # relative addresses only
    assert "Microsoft Corporation" in files["LICENSES.txt"].decode()
    assert str(tmp_path) not in b"".join(files.values()).decode("latin-1")
    assert all(path.stat().st_mode & stat.S_IROTH for path in out.rglob("*"))  # a web server is another user
    assert f"python -m http.server -d {out}" in str(result)

    G, tensors = model.generator, load_file(out / "model" / "tensors.safetensors")
    assert torch.equal(tensors["w_avg"], G.mapping.w_avg)
    assert torch.equal(tensors["centers"], class_centers(G, torch.arange(3)))
    assert all(torch.equal(tensors[f"noise{k}"], value) for k, value in enumerate(stored_noise(G)))
    record = json.loads(files[RECORD])
    assert record["info"]["classes"] == CLASSES
    assert record["directions"]["sefa"]["names"][0] == "sefa0"
    assert tensors["pca.vectors"].shape == (len(record["directions"]["pca"]["names"]), record["width"])

    write_site(model, "again", out, runtime, {})  # an earlier page is replaced
    assert json.loads((out / RECORD).read_text())["name"] == "again"
    assert [path.name for path in out.parent.iterdir()] == ["site"]
    (out / "CNAME").touch()
    with pytest.raises(UserError, match="it holds CNAME, which is not a file of an earlier page"):
        write_site(model, "third", out, runtime, {})


def test_a_failure_leaves_nothing(model: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> float:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(static_site, "write_browser_graphs", fail)
    runtime = empty_runtime(tmp_path / "runtime")
    before = content(tmp_path)
    with pytest.raises(OSError, match="No space"):
        write_site(model, "tiny", tmp_path / "new" / "site", runtime, {})
    assert content(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_bad_input(model: Snapshot, pinned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    site = f"export={tmp_path / 'site'}"
    write_npm(pinned, "echo 'npm error code ENOTFOUND' >&2; echo 'npm error network request failed' >&2; exit 1")
    for settings, message in (
        ([f"export={tmp_path / 'full'}"], "it holds thesis.tex, which is not a file of an earlier page"),
        ([f"export={model.path}"], "it is a file, and a page is a folder"),
        (["export=."], "it is the current folder"),
        ([site, "port=9000"], "port=9000 with export=: a static page has no server. Omit port"),
        (["runtime=x"], "runtime=x: runtime is a setting of export="),
        ([site, "snapshot=nowhere"], "nowhere"),
        ([site, f"runtime={tmp_path}"], "it lacks ort.wasm.bundle.min.mjs of onnxruntime-web"),
        ([site], "cannot be downloaded: npm: network request failed. Connect to the network, or use runtime=DIR"),
    ):
        capsys.readouterr()
        given = settings if "snapshot=nowhere" in settings else [f"snapshot={model.path}", *settings]
        assert message in refused(["view", "browser=false", *given], tmp_path, capsys), settings
    assert not (tmp_path / "site").exists()


def test_the_download_is_checked_and_kept(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_runtime, "INTEGRITY", "sha512-AAAA")
    with pytest.raises(UserError, match=r"is another file: its hash is sha512-.*, the pinned one sha512-AAAA"):
        find_runtime(None)


def test_the_download_is_made_once(pinned: Path) -> None:
    folder = find_runtime(None)
    assert {path.name for path in folder.iterdir()} == set(SHA256)
    (pinned / "npm").unlink()
    assert find_runtime(None) == folder
    assert find_runtime(str(folder)) == folder
    (folder / web_runtime.BINARY).write_bytes(b"damaged")
    with pytest.raises(UserError, match="npm is not installed"):
        find_runtime(None)


def test_a_folder_that_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text('{"format": "stylegen-site-1", "files": 3}')
    with pytest.raises(UserError, match="not a file of an earlier page"):
        check_site(tmp_path)
