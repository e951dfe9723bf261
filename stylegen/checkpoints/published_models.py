"""Trained networks that their authors publish, by name: `snapshot=nvidia/ffhq1024`. All of them are non-commercial.

No hashes are published, so a file is checked for being complete and for holding the network of its row.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from stylegen.downloads import download_once, downloads_folder
from stylegen.errors import UserError

_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
_TRANSFER = f"{_ADA}/transfer-learning-source-nets"
_STYLEGAN2 = "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks"
_CATALOG = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"
_CATALOG3 = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan3/versions/1/files"
_DRIVE = "https://drive.google.com/uc?id="


@dataclass(frozen=True)
class PublishedModel:
    """A file of trained networks.

    Attributes:
        url: address of the download.
        data: what it was trained on.
        resolution: side of its images in pixels.
        fid: the published value for this file, with the paper; empty if the authors give none.
        network: "stylegan1", "stylegan2" or "stylegan3".
        saved_as: name of the file if the URL does not end in it. Then only a browser can download it.
    """

    url: str
    data: str
    resolution: int
    fid: str = ""
    network: str = "stylegan2"
    saved_as: str = ""

    @property
    def filename(self) -> str:
        """Name of the file in a weights folder."""
        return self.saved_as or self.url.rsplit("/", 1)[-1]

    @property
    def license(self) -> str:
        """Of the weights."""
        return "CC BY-NC 4.0" if self.network == "stylegan1" else "NVIDIA Source Code License, non-commercial"

    @property
    def title(self) -> str:
        """One line; marks a file that must be downloaded by hand."""
        title = f"{self.network}, {self.resolution} px, {self.data}" + f", FID {self.fid}" * bool(self.fid)
        return title + ", by hand" * bool(self.saved_as)

    def __str__(self) -> str:
        return f"{self.title}\n  license: {self.license}\n  file:    {self.filename}\n  from:    {self.url}"


_ADA_PAPER, _STYLEGAN2_PAPER, _STYLEGAN1_PAPER = "arXiv 2006.06676", "arXiv 1912.04958", "arXiv 1812.04948"
PUBLISHED_MODELS: dict[str, PublishedModel] = {
    "nvidia/ffhq1024": PublishedModel(f"{_ADA}/ffhq.pkl", "FFHQ", 1024, f"2.84 ({_STYLEGAN2_PAPER})"),
    "nvidia/ffhq512": PublishedModel(f"{_TRANSFER}/ffhq-res512-mirror-stylegan2-noaug.pkl", "FFHQ", 512),
    "nvidia/ffhq256": PublishedModel(f"{_TRANSFER}/ffhq-res256-mirror-paper256-noaug.pkl", "FFHQ", 256),
    "nvidia/ffhqu1024": PublishedModel(f"{_CATALOG}/stylegan2-ffhqu-1024x1024.pkl", "FFHQ, unaligned", 1024),
    "nvidia/ffhqu256": PublishedModel(f"{_CATALOG}/stylegan2-ffhqu-256x256.pkl", "FFHQ, unaligned", 256),
    "nvidia/metfaces1024": PublishedModel(f"{_ADA}/metfaces.pkl", "MetFaces", 1024, f"18.22 ({_ADA_PAPER})"),
    "nvidia/metfacesu1024": PublishedModel(
        f"{_CATALOG}/stylegan2-metfacesu-1024x1024.pkl", "MetFaces, unaligned", 1024
    ),
    "nvidia/celebahq256": PublishedModel(
        f"{_TRANSFER}/celebahq-res256-mirror-paper256-kimg100000-ada-target0.5.pkl", "CelebA-HQ", 256
    ),
    "nvidia/afhqcat512": PublishedModel(f"{_ADA}/afhqcat.pkl", "AFHQ Cat", 512, f"3.55 ({_ADA_PAPER})"),
    "nvidia/afhqdog512": PublishedModel(f"{_ADA}/afhqdog.pkl", "AFHQ Dog", 512, f"7.40 ({_ADA_PAPER})"),
    "nvidia/afhqwild512": PublishedModel(f"{_ADA}/afhqwild.pkl", "AFHQ Wild", 512, f"3.05 ({_ADA_PAPER})"),
    "nvidia/afhqv2_512": PublishedModel(f"{_CATALOG}/stylegan2-afhqv2-512x512.pkl", "AFHQv2", 512),
    "nvidia/brecahad512": PublishedModel(f"{_ADA}/brecahad.pkl", "BreCaHAD", 512, f"15.71 ({_ADA_PAPER})"),
    "nvidia/cifar10": PublishedModel(f"{_ADA}/cifar10.pkl", "CIFAR-10, 10 classes", 32, f"2.42 ({_ADA_PAPER})"),
    "nvidia/lsundog256": PublishedModel(f"{_TRANSFER}/lsundog-res256-paper256-kimg100000-noaug.pkl", "LSUN Dog", 256),
    "nvidia/lsuncar512": PublishedModel(
        f"{_STYLEGAN2}/stylegan2-car-config-f.pkl",
        "LSUN Car, 512x384 with black bars",
        512,
        f"2.32 ({_STYLEGAN2_PAPER})",
    ),
    "nvidia/lsuncat256": PublishedModel(
        f"{_STYLEGAN2}/stylegan2-cat-config-f.pkl", "LSUN Cat", 256, f"6.93 ({_STYLEGAN2_PAPER})"
    ),
    "nvidia/lsunchurch256": PublishedModel(
        f"{_STYLEGAN2}/stylegan2-church-config-f.pkl", "LSUN Church", 256, f"3.86 ({_STYLEGAN2_PAPER})"
    ),
    "nvidia/lsunhorse256": PublishedModel(
        f"{_STYLEGAN2}/stylegan2-horse-config-f.pkl", "LSUN Horse", 256, f"3.43 ({_STYLEGAN2_PAPER})"
    ),
    "nvidia/stylegan1_ffhq1024": PublishedModel(
        f"{_DRIVE}1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ",
        "FFHQ",
        1024,
        f"4.40 ({_STYLEGAN1_PAPER})",
        "stylegan1",
        "karras2019stylegan-ffhq-1024x1024.pkl",
    ),
    "nvidia/stylegan1_celebahq1024": PublishedModel(
        f"{_DRIVE}1MGqJl28pN4t7SAtSrPdSRJSQJqahkzUf",
        "CelebA-HQ",
        1024,
        "",
        "stylegan1",
        "karras2019stylegan-celebahq-1024x1024.pkl",
    ),
    "nvidia/stylegan1_lsunbedroom256": PublishedModel(
        f"{_DRIVE}1MOSKeGF0FJcivpBI7s63V9YHloUTORiF",
        "LSUN Bedroom",
        256,
        f"2.65 ({_STYLEGAN1_PAPER})",
        "stylegan1",
        "karras2019stylegan-bedrooms-256x256.pkl",
    ),
} | {
    f"nvidia/stylegan3{config}_{name}{'_' * name[-1].isdigit()}{side}": PublishedModel(
        f"{_CATALOG3}/stylegan3-{config}-{name}-{side}x{side}.pkl",
        f"{data}, configuration {config.upper()}",
        side,
        "",
        "stylegan3",
    )
    for config in "tr"
    for name, data, side in (
        ("ffhq", "FFHQ", 1024),
        ("ffhqu", "FFHQ, unaligned", 1024),
        ("ffhqu", "FFHQ, unaligned", 256),
        ("metfaces", "MetFaces", 1024),
        ("metfacesu", "MetFaces, unaligned", 1024),
        ("afhqv2", "AFHQv2", 512),
    )
}


def published_file(name: str) -> Path:
    """The file of a published model: from `$STYLEGEN_WEIGHTS` or the cache folder, or downloaded to the first of them
    that is writable.

    Raises:
        UserError: no such file and no download, with the URL and the folder for a manual one.
    """
    model = PUBLISHED_MODELS[name]
    own = os.environ.get("STYLEGEN_WEIGHTS")
    folders = [*([Path(own).expanduser()] if own else []), downloads_folder()]
    for folder in folders:
        if (folder / model.filename).is_file():
            return folder / model.filename
    target = next((folder for folder in folders if _writable(folder)), folders[0]) / model.filename
    bring = f"Download {model.url} ({model.license}) in a browser and save it as {target}"
    if model.saved_as:
        raise UserError(name, rule="the authors' file is on Google Drive, which needs a browser", fix=bring)
    try:
        download_once(model.url, target)
    except OSError as error:
        raise UserError(
            name,
            rule=f"{' and '.join(map(str, folders))} lack {model.filename}, and its download failed ({error})",
            fix=bring,
        ) from error
    return target


def _writable(folder: Path) -> bool:
    """Whether files can be written there, after the folder is made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)
