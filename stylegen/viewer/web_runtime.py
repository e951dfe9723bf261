"""onnxruntime-web, which runs a static page's network: two files of a package that npm downloads once.

The version is pinned, and so are the hashes of the package and of the files. Nothing of it is in this package.
"""

import base64
import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from stylegen.checkpoints.foreign_file import sha256_of
from stylegen.errors import UserError
from stylegen.files import cache_folder, exclusive, replacing_folder, temporary_folder

NAME, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
SHA256 = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_SECONDS = 900


def find_runtime(given: str | None) -> Path:
    """The folder of the files of `SHA256`: the given one, or the cached one, downloaded if it is not there.

    Args:
        given: folder of the package or of the files; None to use npm.

    Raises:
        UserError: a folder without these files; no npm, no network, or another package than the pinned one.
    """
    if given is not None:
        root = Path(given).expanduser()
        folder = next((f for f in (root, root / "dist", root / "package" / "dist") if (f / BINARY).is_file()), root)
        if wrong := _wrong(folder):
            rule = f"it lacks {wrong} of {NAME} {VERSION}, or has another version"
            raise UserError(
                f"runtime={given}", rule=rule, fix=f"Use the folder that `npm install {NAME}@{VERSION}` makes"
            )
        return folder
    folder = cache_folder() / f"{NAME}-{VERSION}"
    if _wrong(folder):
        with exclusive(folder, wait=True):
            if _wrong(folder):
                _download(folder)
    return folder


def write_runtime(folder: Path, out: Path) -> None:
    """Write `out`/ort.js and `out`/ort.wasm.gz: a third of the size, also on servers that do not compress."""
    out.mkdir()
    shutil.copyfile(folder / SCRIPT, out / "ort.js")  # not every server knows the type of .mjs
    (out / "ort.wasm.gz").write_bytes(gzip.compress((folder / BINARY).read_bytes(), 6, mtime=0))


def _wrong(folder: Path) -> str:
    """The first file that is missing or another one; empty if all are there."""
    for name, digest in SHA256.items():
        if not (folder / name).is_file() or sha256_of(folder / name, "runtime") != digest:
            return name
    return ""


def _download(folder: Path) -> None:
    npm = shutil.which("npm")
    local = f"use runtime=DIR with a copy of the package {NAME} {VERSION}"
    if npm is None:
        raise UserError("npm is not installed", rule=f"it downloads {NAME}", fix=f"Install Node.js, or {local}")
    if sys.stderr.isatty():
        print(f"downloading {NAME} {VERSION}, 33 MB", file=sys.stderr, flush=True)
    with temporary_folder() as work:
        command = [npm, "pack", f"{NAME}@{VERSION}", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
        try:
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_SECONDS)
            reason = "" if done.returncode == 0 else _reason(done.stderr)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
        packages = list(work.glob("*.tgz"))
        if reason or not packages:
            fix = f"Connect to the network, or {local}"
            raise UserError(f"{NAME} {VERSION} cannot be downloaded", rule=f"npm: {reason or 'no file'}", fix=fix)
        digest = base64.b64encode(hashlib.sha512(packages[0].read_bytes()).digest()).decode()
        if f"sha512-{digest}" != INTEGRITY:
            rule = f"its hash is sha512-{digest}, the pinned one {INTEGRITY}"
            raise UserError(f"the downloaded {NAME} {VERSION} is another file", rule=rule, fix=f"Check npm, or {local}")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged copy
        with tarfile.open(packages[0]) as archive, replacing_folder(folder) as partial:
            for name in SHA256:
                member = archive.extractfile(f"package/dist/{name}")
                assert member is not None
                with member, (partial / name).open("wb") as file:
                    shutil.copyfileobj(member, file)


def _reason(errors: str) -> str:
    """The first line of npm's report that is a sentence."""
    lines = [line.removeprefix("npm error").strip() for line in errors.splitlines()]
    sentences = [line for line in lines if " " in line and not line.startswith(("code", "errno"))]
    return sentences[0][:200] if sentences else "it failed"
