"""YAML within bounds."""

from pathlib import Path

import pytest

from stylegen.__main__ import main
from stylegen.config.yaml_file import MAX_BYTES, load_yaml

LAUGHS = "a: &a [ha, ha]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nvariants: *c\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS.encode(), "line 1 has an anchor or alias"),
        (b"a: " + b"[" * 100_000, "nested more than 32 deep"),
        (b"a: " + b"x" * MAX_BYTES, "larger than 262144 bytes"),
        (b"a: [", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
    ],
    ids=["aliases", "nesting", "size", "syntax", "bytes"],
)
def test_what_is_not_read(content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_yaml(path)
    assert main(["study", f"name={path}"]) == 2
    assert message in capsys.readouterr().err


def test_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: {b: [1, 1e-3]}\n")
    assert load_yaml(tmp_path / "a.yaml") == {"a": {"b": [1, 0.001]}}
