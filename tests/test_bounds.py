"""Values are checked against their annotations: type, bounds, length, and strings that are not paths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest

from stylegen.bounds import Choice, FilePath, Names, PathRule, Range, Taps, brief, check
from stylegen.errors import UserError

NUMBER = Annotated[float, Range(0, 10, above=True)]


def refusal(value: Any, hint: Any) -> str:
    try:
        check("key", value, hint)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (10, NUMBER),
        (1e-300, NUMBER),
        (None, NUMBER | None),
        (0.5, Annotated[float, Range(0, 1, below=True)] | None),
        ([1, 2.5], Annotated[Sequence[float], Range(0, 10)]),
        ((), Annotated[Sequence[float], Range(0, 10, count=(0, 2))]),
        (["a"], Annotated[list[str], Names()]),
        ("~/a b\u202f(c)", FilePath),
        (Path("x"), Annotated[str | Path, PathRule()]),
        ("", str),
        (True, bool),
    ],
)
def test_good_values(value: Any, hint: Any) -> None:
    assert refusal(value, hint) == ""


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (0, NUMBER, "key=0: must be a number above 0 to 10. "),
        (11, NUMBER, "above 0 to 10"),
        (float("nan"), NUMBER, "key=nan"),
        (float("inf"), float, "must be a number"),
        (True, Annotated[int, Range(0, 2)], "key=true: must be an integer from 0 to 2"),
        (1.5, Annotated[int, Range(0, 2)], "an integer"),
        ("x", bool, "true or false"),
        (None, NUMBER, "key=null: must not be null"),
        (1, Annotated[Sequence[float], Range(0, 10)], "must be a list"),
        ([], Annotated[Sequence[float], Range(0, 10)], "1 to 64 values, not 0"),
        ([0] * 40000, Annotated[Sequence[float], Range(0, 10)], "not 40000"),
        (
            [float("nan")],
            Annotated[Sequence[float], Range(0, 10)],
            "each value must be a number from 0 to 10. Use a value in this range, or omit key for the default",
        ),
        ([1], Annotated[list[str], Names()], "must be a string"),
        ("a\nb", str, r"a\\nb: must not contain control characters"),
        ([1, -1], Taps, "must have a sum other than 0"),
        ([0], Taps, "must have a sum other than 0"),
        ("x" * 5000, str, "at most 4096 characters, not 5000"),
        ("/a/" + "ä" * 200, FilePath, "at most 255 bytes"),
        ("", FilePath, "not an empty string"),
        ("a/" * 2000, FilePath, "at most 3840 bytes"),
        ("fp8", Annotated[str, Choice(("fp32", "fp16"))], "key=fp8: no such key. Did you mean .*Known: fp16, fp32"),
        (1, Annotated[str, Choice(("fp32", "fp16"))], "must be a string"),
        ("~nosuchuser/x", FilePath, "no user nosuchuser"),
    ],
)
def test_bad_values(value: Any, hint: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check("key", value, hint)


def test_bounds_are_exact() -> None:
    assert str(Range(1, 2**40)) == "from 1 to 2^40"
    assert str(Range(0, 2**63 - 1)) == "from 0 to 2^63 - 1"
    assert str(Range(0, 10**13)) == "from 0 to 10000000000000"
    assert str(Range(0, 1e7, above=True)) == "above 0 to 10000000"


def test_long_values_are_cut() -> None:
    assert brief("\x1b[31m" + "x" * 100) == r"\x1b[31m" + "x" * 49 + "..."
    assert len(brief([0.0] * 1000)) == 60


def test_a_number_too_long_to_print() -> None:
    with pytest.raises(UserError, match="key=a number of 5000 digits: must be an integer from 1 to 2"):
        check("key", 10**5000, Annotated[int, Range(1, 2)])
