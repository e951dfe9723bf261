import pytest

from stylegen import features
from tests.support.metric_images import Thumbnail


@pytest.fixture
def thumbnail(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fd_random_vgg16` through a cheap extractor."""
    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", lambda weights, device: Thumbnail())
