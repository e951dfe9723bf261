"""The settings of `prepare`: source and output here, the rest with the functions that it calls."""

from dataclasses import dataclass

from stylegen.bounds import REQUIRED, FilePath, setting
from stylegen.config.sections import Arguments, inline
from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.preparation import prepare


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """`python -m stylegen prepare`."""

    source: FilePath = setting(REQUIRED, help="a folder, zip, LMDB or Parquet file of images, or openmoji")
    out: FilePath = setting(REQUIRED, help="the new dataset: .zip, .lmdb, or a folder")
    options: Arguments = inline(prepare, without=("source", "out", "recipe"))
    recipe: Recipe = inline(Recipe)
