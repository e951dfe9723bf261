"""The state of the page: every field bounded, unknown ones refused; the page has the same fields and defaults."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stylegen.errors import UserError
from stylegen.viewer import page_state
from stylegen.viewer.page_state import PageState, Still, parse_state

PAGE = Path(page_state.__file__).with_name("page")
KEYFRAMES = [{"seconds": k} for k in range(33)]
MOVE = {"set": "sefa", "index": 0, "strength": 1}


def test_a_state_is_parsed() -> None:
    content = {
        "model": "m",
        "still": {"seed": 2**53 - 1, "mixed": [0, 1], "moves": [MOVE | {"layers": [2, 3]}]},
        "keyframes": [{"seconds": 1.5, "still": {"psi": -1}}],
    }
    state = parse_state(content)
    assert state.still.mixed == (0, 1)
    assert state.still.moves[0].layers == (2, 3)
    assert state.keyframes[0].still.psi == -1
    assert hash(state) == hash(parse_state(content))


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"model": 3},
        {"model": "m", "what": 1},
        {"model": "m", "view": "else"},
        {"model": "m", "keyframes": KEYFRAMES},
        {"model": "m", "keyframes": {}},
        {"model": "m", "fps": float("nan")},
        *(
            {"model": "m", "still": fields}
            for fields in (
                7,
                {"path": "/etc/passwd"},
                {"seed": -1},
                {"seed": 2**53},
                {"seed": 1.5},
                {"seed": True},
                {"psi": float("inf")},
                {"psi": "0.7"},
                {"psi": None},
                {"cutoff": 65},
                {"label": "x" * 5000},
                {"label": "a\n"},
                {"mixed": [64]},
                {"mixed": [0] * 65},
                {"mixed": "0,1"},
                {"noise": "loud"},
                {"noise_strength": 1e9},
                {"x": 5},
                {"moves": [MOVE] * 17},
                {"moves": [{"set": "sefa"}]},
                {"moves": [MOVE | {"strength": 1e30}]},
                {"moves": [MOVE | {"layers": [1, 2, 3]}]},
            )
        ),
    ],
)
def test_bad_states_are_refused(content: Any) -> None:
    with pytest.raises(UserError):
        parse_state(content)


@pytest.mark.parametrize(("kind", "name"), [(Still, "STILL"), (PageState, "PAGE")])
def test_the_page_has_the_same_fields_and_defaults(kind: type, name: str) -> None:
    block = re.search(rf"const {name} = Object.freeze\((.*?)\);", (PAGE / "state.js").read_text(), re.DOTALL)
    assert block
    found = json.loads(re.sub(r",\s*}", "}", re.sub(r"(\w+):", r'"\1":', block[1].replace("STILL", "{}"))))
    expected = {
        field.name: "" if field.default is dataclasses.MISSING else field.default for field in dataclasses.fields(kind)
    }
    assert found == json.loads(json.dumps(expected | ({"still": {}} if kind is PageState else {})))


def test_the_page_loads_nothing_from_elsewhere() -> None:
    text = "".join(path.read_text() for path in PAGE.iterdir())
    assert set(re.findall(r"https?://[^\"'`\s]*", text)) <= {"http://www.w3.org/2000/svg"}
