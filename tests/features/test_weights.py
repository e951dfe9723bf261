import hashlib
import io
from email.message import Message
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest

from stylegen.errors import UserError
from stylegen.features.weights import PUBLISHED, PublishedWeights, require_all_weights, require_weights
from stylegen.metrics.protocol.registry import without_weights

CONTENT = b"tensors"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"weights-{DIGEST[:8]}.pth"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache, no STYLEGEN_WEIGHTS, a small published file in place of Inception, no network."""
    monkeypatch.delenv("STYLEGEN_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setitem(PUBLISHED, "inception", PublishedWeights(NAME, 91, f"https://example.org/{NAME}"))

    def offline(request: Request, timeout: float) -> Response:
        raise URLError("no route to host")

    monkeypatch.setattr("stylegen.downloads.urlopen", offline)
    return tmp_path / "torch" / "hub" / "checkpoints"


class Response(io.BytesIO):
    """A response of urllib."""

    headers = Message()


def put(folder: Path, name: str = NAME, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_published_names_end_in_hashes() -> None:
    assert {name: published.hash_prefix[:8] for name, published in PUBLISHED.items()} == {
        "efficientnet_lite0": "57934424",
        "inception": "6726825d",
        "vgg16": "397923af",
        "lpips_layers": "a78928a0",
        "nvidia_vgg16": "b437eb09",
    }


def test_random_features_need_no_file(hub: Path) -> None:
    assert require_weights("random_vgg16") is None


def test_without_a_network_the_message_names_source_and_target(hub: Path) -> None:
    with pytest.raises(UserError) as caught:
        require_weights("inception")
    message = str(caught.value)
    assert f"the inception weights {NAME} are not on this machine" in message
    assert f"Download https://example.org/{NAME}" in message
    assert f"put it into {hub}" in message
    assert "no route to host" in message
    assert "fd_random_vgg16" in message
    assert list(hub.iterdir()) == []  # nothing half-written


def test_places_in_order(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_hub, own = put(hub), put(tmp_path / "own")
    assert require_weights("inception") == in_hub
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(own.parent))
    assert require_weights("inception") == own
    given = put(tmp_path / "given")
    assert require_weights("inception", given) == given
    assert require_weights("inception", given.parent) == given
    assert require_weights("inception", put(tmp_path, "converted.pth", b"other")) == tmp_path / "converted.pth"


def test_one_setting_for_several_extractors(hub: Path, tmp_path: Path) -> None:
    """Another extractor's file is ignored, and so is a folder without the file."""
    in_hub = put(hub)
    vgg = put(tmp_path, PUBLISHED["vgg16"].filename)
    assert require_weights("inception", vgg) == in_hub
    (tmp_path / "empty").mkdir()
    assert require_weights("inception", tmp_path / "empty") == in_hub


def test_an_extractor_of_two_files_names_the_one_that_is_missing(hub: Path) -> None:
    put(hub, PUBLISHED["vgg16"].filename, b"other")
    with pytest.raises(UserError, match=r"vgg16-397923af\.pth has SHA-256"):
        require_all_weights("lpips")
    (hub / PUBLISHED["vgg16"].filename).unlink()
    missing = (
        r"the vgg16 weights vgg16-397923af\.pth are not on this machine.* or measure ppl2_wend_random_vgg16, which"
    )
    with pytest.raises(UserError, match=missing):
        require_all_weights("lpips", instead=without_weights("ppl2_wend"))
    require_all_weights("random_vgg16")


def test_a_path_that_is_not_there(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        require_weights("inception", tmp_path / "nowhere.pth")


def test_a_damaged_file_is_refused(hub: Path) -> None:
    put(hub, content=b"tens")
    with pytest.raises(UserError, match=f"the published file's starts with {DIGEST[:8]}.*Delete it and download"):
        require_weights("inception")


def test_download_is_checked_and_kept(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts = []

    def answer(request: Request, timeout: float) -> Response:
        assert request.full_url == PUBLISHED["inception"].url
        timeouts.append(timeout)
        return Response(CONTENT)

    monkeypatch.setattr("stylegen.downloads.urlopen", answer)
    assert require_weights("inception") == hub / NAME
    assert (hub / NAME).read_bytes() == CONTENT
    assert require_weights("inception") == hub / NAME
    assert timeouts == [30], "downloaded once, and a silent network is given up"


def test_a_wrong_download_is_not_kept(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegen.downloads.urlopen", lambda request, timeout: Response(b"a login page"))
    with pytest.raises(UserError, match=r"is not the published file.*by other means"):
        require_weights("inception")
    assert list(hub.iterdir()) == []
