"""The command `diagnose` on a tiny run: findings in order, output, what cannot be checked, bad input."""

import json
import math
import shutil
from pathlib import Path

import pytest

from stylegen.__main__ import main
from stylegen.diagnosis import diagnosis
from stylegen.diagnosis.evidence import SEVERITIES, DataFacts, Evidence
from stylegen.images import write_png
from tests.support.metric_images import portraits
from tests.support.runs import refused, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at a high rate on eight images of the classes 0 and 2 of 3, beside the folder of these images."""
    root = tmp_path_factory.mktemp("diagnose")
    for number, image in enumerate(portraits(8, 16)):
        write_png(root / "data" / f"{number}.png", image)
    labels = [[f"{number}.png", 2 * (number % 2)] for number in range(8)]
    (root / "data" / "dataset.json").write_text(json.dumps({"labels": labels, "class_names": ["a", "b", "c"]}))
    data = [f"data.path={root / 'data'}", "data.use_labels=true", "data.max_images=null", "data.resolution=null"]
    assert (
        train(root / "run", *data, "experiment=openmoji", "data=images", "optimizer.g_lr=0.1", "total_kimg=0.096") == 0
    )
    return root


def diagnosed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, dict]:
    """Text, and the JSON object of the last line."""
    assert main(["diagnose", "num_samples=16", *arguments]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    return "\n".join(lines), json.loads(last)


def test_the_findings_of_a_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, values = diagnosed(capsys, f"run={trained / 'run'}")
    found = [finding["rule"] for finding in values["findings"]]
    assert found[:2] == ["rate_too_high", "class_without_images"]
    assert "Class 1 (b) of 3 has no training image" in text
    ranks = [SEVERITIES.index(finding["severity"]) for finding in values["findings"]]
    assert ranks == sorted(ranks)
    assert text.index("rule  rate_too_high: ") < text.index("fix   Use optimizer.g_lr=0.0025")
    assert values["not_checked"] == []
    assert values["kimg"] == 0.096
    assert {"certainty", "reg/r1", "spread", "nearest"} <= set(values["measured"])


def test_out_is_a_file(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", f"run={trained / 'run'}", "num_samples=0", f"out={tmp_path / 'found.json'}"]) == 0
    assert "{" not in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["findings"][0]["rule"] == "rate_too_high"


def test_without_data_and_snapshots_the_records_are_diagnosed(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "snapshots")
    text, values = diagnosed(capsys, f"run={tmp_path / 'run'}")
    assert values["not_checked"] == ["samples (the run has no snapshot)"]
    (tmp_path / "run" / "snapshots").mkdir()
    (tmp_path / "run" / "snapshots" / "000000.096.safetensors").write_bytes(b"damaged")
    text, values = diagnosed(capsys, f"run={tmp_path / 'run'}")
    assert "class_without_images" in text  # of the training images, which can be read
    assert values["not_checked"][0].startswith("samples (snapshot=")
    config = (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(config.replace(str(trained / "data"), str(tmp_path / "gone")))
    text, values = diagnosed(capsys, f"run={tmp_path / 'run'}")
    assert "rate_too_high" in text
    assert str(tmp_path / "gone") in values["not_checked"][0]


def test_a_line_that_is_being_written_is_left_out(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"kimg": 9')
    assert diagnosed(capsys, f"run={tmp_path / 'run'}")[1]["kimg"] == 0.096


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not JSON\n", "line 1"),
        ('{"kimg": 1}\n[]\n', "line 2"),
        ('{"loss/D": 1}\n', "key kimg"),
        ('{"kimg": 1, "loss/D": "high"}\n', "of numbers"),
        ("", "no records"),
        (None, "cannot be read"),
    ],
)
def test_damaged_records(
    content: str | None, words: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    if content is not None:
        (tmp_path / "run" / "metrics.jsonl").write_text(content)
    assert words in refused(["diagnose", f"run={tmp_path / 'run'}"], tmp_path, capsys)


def test_a_folder_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not the folder of a run" in refused(["diagnose", f"run={tmp_path}"], tmp_path, capsys)
    assert "not the folder of a run" in refused(["diagnose", f"run={tmp_path / 'none'}"], tmp_path, capsys)
    assert "run is missing" in refused(["diagnose"], tmp_path, capsys)


def test_an_output_that_cannot_be_written(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "out=" in refused(["diagnose", f"run={trained / 'run'}", f"out={tmp_path / 'a.txt'}"], tmp_path, capsys)


def test_a_healthy_run_has_no_findings() -> None:
    records = [{"kimg": k, "loss/D": 0.7, "reg/r1": 0.15, "lr/G": 0.01, "grad/nonfinite": 0.0} for k in range(1, 9)]
    settings = {"regularizers.r1.gamma": 1.0, "loss.name": "nonsaturating", "optimizer.g_lr": 0.01, "total_kimg": 8}
    data = DataFacts(num_images=100, checked=100, effective=100)
    found = diagnosis.findings(Evidence(records, settings, data=data))
    assert found == []
    measured = diagnosis.measured(Evidence(records, settings))
    assert measured == {"certainty": pytest.approx(math.exp(-0.35)), "reg/r1": 0.15}
    lines = diagnosis.Diagnosis("runs/a", 8, found, measured, []).lines()
    assert lines == ["run runs/a, 8 kimg", "measured: certainty 0.705, reg/r1 0.15", "nothing found"]
