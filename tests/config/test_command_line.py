import pytest

from stylegen.config import command_line
from stylegen.config.command_line import quote_override, refuse_renamed
from stylegen.config.schema import quoted_names
from stylegen.errors import UserError


@pytest.mark.parametrize(
    ("typed", "quoted"),
    [
        ("seeds=0-15,40", "seeds='0-15,40'"),
        ("data.path=/home/jörg/a b(c)#=~", "data.path='/home/jörg/a b(c)#=~'"),
        ("data.path=it's", r"data.path='it\'s'"),
        ("data.path=C:\\x\\", r"data.path='C:\x\\'"),
        ("+data.path=x", "+data.path='x'"),
        ("class=3", "label='3'"),
        ("classes=0,2", "label='0,2'"),
        ("batch_size=3", "batch_size=3"),
        ("output_dir=null", "output_dir=null"),
        ("out='already'", "out='already'"),
        ("generator=stylegan2", "generator=stylegan2"),
        ("evaluation.metrics=[fid,kid]", "evaluation.metrics=[fid,kid]"),
        ("~regularizers.r1", "~regularizers.r1"),
    ],
)
def test_quoting(typed: str, quoted: str) -> None:
    assert quote_override(typed, quoted_names("train") | quoted_names("sample")) == quoted


@pytest.mark.parametrize(
    "path",
    ["a=b", "~/x", "a(b)", "#1", "é", "a,b", "[x]", "{y}", "a\\", "it's", "$x", "x y", "%", "a:b", "a\\\\", "a\\'b"],
)
def test_paths_arrive_as_typed(path: str) -> None:
    from stylegen.config.compose import compose_config

    assert compose_config("sample", [f"snapshot={path}"]).snapshot == path


@pytest.mark.parametrize(
    ("override", "fix"), [("old=none", "new=none"), ("old.kimg=3", "new.kimg=3"), ("+old.sub.x=1", "new.sub.x=1")]
)
def test_former_names_are_refused_with_the_new_one(monkeypatch: pytest.MonkeyPatch, override: str, fix: str) -> None:
    monkeypatch.setattr(command_line, "RENAMED", {"old": "new"})
    refuse_renamed(["older=1", "a.old=1"])
    with pytest.raises(UserError, match=f"old is now called new. Use {fix}$"):
        refuse_renamed(["seed=0", override])
