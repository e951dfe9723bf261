"""The evaluation of a training run, from its settings."""

from weakref import WeakKeyDictionary

from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import ImageDataset
from stylegen.metrics.engine.evaluation import Evaluation

_WHOLE: WeakKeyDictionary[ImageDataset, ImageDataset] = WeakKeyDictionary()


def training_evaluation(settings: TrainSettings, dataset: ImageDataset) -> Evaluation:
    """Measures against all images of the dataset, even if the training uses a part of them."""
    reals = dataset if settings.data.max_images is None else _whole(settings, dataset)
    return Evaluation(
        settings.evaluation.metrics,
        settings.evaluation.num_samples,
        reals,
        settings.evaluation,
        keep_extractors=False,  # training needs the memory
    )


def _whole(settings: TrainSettings, dataset: ImageDataset) -> ImageDataset:
    """All images of the training's data, opened once."""
    if dataset not in _WHOLE:
        arguments = {name: value for name, value in settings.data.items() if name != "workers"}
        _WHOLE[dataset] = ImageDataset(**arguments | {"max_images": None, "cache": "auto"})
    return _WHOLE[dataset]
