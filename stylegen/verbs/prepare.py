"""Convert a collection of images to a training dataset, and report the images left out."""

from dataclasses import dataclass, replace
from pathlib import Path

from stylegen.config.prepare_settings import PrepareSettings
from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.preparation import Prepared, prepare
from stylegen.data.sources import Source, open_source
from stylegen.data.sources.formats import CONVERTIBLE_SUFFIXES
from stylegen.data.survey import chosen_resolution, survey_images


@dataclass(frozen=True)
class PrepareResult:
    """The dataset and its report, as the last line of output; `choice` is a note on the resolution."""

    prepared: Prepared
    choice: str | None = None

    def __str__(self) -> str:
        done = self.prepared
        notices = [*([self.choice] if self.choice else []), *done.notices]
        side, channels = (done.metadata["prepared"][key] for key in ("resolution", "channels"))
        facts = [f"{done.written} of {done.found} images, {side}x{side} {channels}", _labels(done)]
        facts += [f"{done.enlarged} of them enlarged"] * (done.enlarged > 0)
        facts += [f"fingerprint {done.metadata['fingerprint']}"]
        facts += [f"{done.not_chosen} not chosen (max_images)"] * (done.not_chosen > 0)
        facts += [f"{done.left_out} left out, see {done.report}"] if done.left_out else ["none left out"]
        return "\n".join([*(f"note: {notice}" for notice in notices), f"{done.out}: {', '.join(facts)}"])


def run(settings: PrepareSettings) -> PrepareResult:
    """Prepare a dataset.

    Raises:
        UserError: see `stylegen.data.prepare.preparation.prepare`, and settings outside their ranges.
    """
    source, out = _open(settings.source), Path(settings.out).expanduser()
    recipe, choice = _with_resolution(settings.recipe, settings.source)
    return PrepareResult(prepare(source, out, recipe, **settings.options), choice)


def _with_resolution(recipe: Recipe, path: str) -> tuple[Recipe, str | None]:
    """The recipe with a resolution, and a note on a chosen one; images of one size that fits keep it."""
    survey = survey_images(path, "source") if recipe.resolution is None else None
    if survey is None or survey.side is not None:
        return recipe, None
    side = chosen_resolution(survey)
    return replace(recipe, resolution=side), f"resolution={side}, chosen for {survey}; resolution= sets another"


def _open(path: str) -> Source:
    if path == "openmoji" and not Path(path).exists():
        from stylegen.data.openmoji import MAX_RESOLUTION, dataset_path

        return open_source(dataset_path(MAX_RESOLUTION), "source")
    return open_source(path, "source", CONVERTIBLE_SUFFIXES)


def _labels(done: Prepared) -> str:
    pairs = done.metadata["labels"]
    if pairs is None:
        return "no labels"
    if isinstance(pairs[0][1], int):
        return f"{len(done.metadata.get('class_names') or {label for _, label in pairs})} classes"
    return f"labels of {len(pairs[0][1])} numbers"
