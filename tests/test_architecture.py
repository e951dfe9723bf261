"""The architecture: imports go downward only, and some packages are imported in one place only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "stylegen"

# From the ground floor up. A room may import itself and rooms of lower floors, but not other rooms of its floor.
FLOORS = [
    {
        "errors",
        "former_names",
        "bounds",
        "files",
        "cosine_schedule",
        "cpus",
        "discriminator_outputs",
        "spec",
        "images",
        "captions",
        "animation",
        "video_file",
        "one_hot",
        "randomness",
        "distributed",
        "launching",
        "progress",
        "downloads",
        "figures",
        "placement",
    },
    {"layers"},
    {"networks", "losses", "regularizers", "augment", "data"},
    {"checkpoints", "features"},
    {"latent"},
    {"metrics", "exports"},
    {"training"},
    {"config"},
    {"runs"},
    {"studies", "benchmarks", "diagnosis", "viewer"},
    {"verbs"},
    {"__main__"},
]
# Exceptions, each with its reason.
ALLOWED = {
    ("spec", "errors"),  # the specification refuses impossible values
    ("images", "errors"),
    ("bounds", "errors"),
    ("cosine_schedule", "errors"),
    ("images", "files"),  # PNG files are written atomically
    ("files", "errors"),
    ("video_file", "errors"),
    ("downloads", "files"),
    ("placement", "errors"),
    ("placement", "files"),  # an output has one writer at a time
    ("downloads", "progress"),
    ("distributed", "errors"),  # rank 0's UserError is raised on every rank
    ("launching", "distributed"),  # a lost connection is not the cause
    ("launching", "errors"),
    ("launching", "cpus"),  # each worker has its share of the cores
}
# Exceptions from budgets, each with its reason.
LARGE = {
    "arguments of data/dataset.py:__init__": 10,  # the home of the settings of data.*, one argument each
    "arguments of data/prepare/preparation.py:prepare": 9,  # the home of the settings of prepare
    "arguments of layers/modulated_conv.py:modulated_conv2d": 9,
    "arguments of networks/stylegan2_discriminator.py:__init__": 16,  # the paper's, and four options
    "networks/stylegan2_discriminator.py:__init__": 53,
    "arguments of networks/stylegan3.py:__init__": 22,  # the paper's
    "networks/stylegan3.py:__init__": 60,
    "arguments of layers/equalized.py:__init__": 10,  # torch.nn.Conv2d's and three of the equalized learning rate
}
# Package -> the only places that may import it.
ONLY_IN = {
    "lightning": r"stylegen/training/lightning/.*\.py",
    "hydra": r"stylegen/config/.*\.py",
    "omegaconf": r"stylegen/config/.*\.py",
    "matplotlib": r"stylegen/figures\.py",
    "aiohttp": r"stylegen/viewer/.*\.py",
    "wandb": r"stylegen/training/observers/wandb\.py",
    "triton": r"stylegen/randomness/philox_triton\.py",
    "torch_fidelity": r"stylegen/features/torch_fidelity_networks\.py",
    "pickle": r"nowhere",  # it executes what it reads; so do the modules below, which use it
    "pickletools": r"stylegen/checkpoints/safe_pickle\.py",  # splits a pickle into operations, executes nothing
    "onnx": r"nowhere",  # optional: by errors.import_extra, when used
    "onnxruntime": r"nowhere",
    "onnxscript": r"nowhere",
    "av": r"nowhere",
    "dill": r"nowhere",
    "cloudpickle": r"nowhere",
    "joblib": r"nowhere",
    "shelve": r"nowhere",
    "marshal": r"nowhere",
    "torch.distributed": r"stylegen/(distributed|launching)\.py",
    "random": r"nowhere",  # randomness is keyed
}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "stylegen")


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def floor_of(room: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def test_imports_go_downward_only() -> None:
    wrong = []
    for path, tree in sources():
        here = room_of(path)
        for name in imports(tree):
            parts = name.split(".")
            if here == "__init__" or parts[0] != "stylegen" or len(parts) < 2 or parts[1] == "__version__":
                continue
            there = parts[1]
            if here != there and floor_of(there) >= floor_of(here) and (here, there) not in ALLOWED:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path, _ in sources()} - {"__init__"}
    assert rooms <= set().union(*FLOORS), rooms


def test_file_names_are_unique_in_the_package() -> None:
    """A file name identifies its room."""
    seen: dict[str, Path] = {}
    wrong = []
    for path, _ in sources():
        first = seen.setdefault(path.name, path)
        if path.name != "__init__.py" and first != path:
            wrong.append(f"{first.relative_to(ROOT)} and {path.relative_to(ROOT)}")
    assert not wrong, wrong


def test_some_packages_are_imported_in_one_place_only() -> None:
    wrong = []
    for path, tree in sources():
        for name in imports(tree):
            pattern = next((ONLY_IN[package] for package in ONLY_IN if f"{name}.".startswith(f"{package}.")), None)
            if pattern and not re.fullmatch(pattern, path.relative_to(ROOT).as_posix()):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, wrong


def test_torch_load_is_restricted() -> None:
    """`torch.load` executes a pickle unless `weights_only=True`, which an environment variable can change."""
    calls = [
        (path, node)
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("torch.load", "load_state_dict_from_url"))
    ]
    assert calls
    wrong = [p.name for p, call in calls if "weights_only=True" not in [ast.unparse(k) for k in call.keywords]]
    assert not wrong, wrong


def test_torchs_global_generator_is_used_by_constructors_only() -> None:
    """All other code uses `randomness`."""
    drawing = re.compile(
        r"torch\.(rand|randn|randint|randperm|normal|bernoulli|multinomial)\b|\.(normal|uniform|random)_\("
    )
    allowed = (
        *("layers/equalized.py", "layers/fourier_features.py", "layers/scaled_conv.py", "layers/synthesis_inputs.py"),
        "layers/variance_scaling.py",
        *("networks/mapping.py", "networks/stylegan2.py", "networks/stylegan3.py", "randomness.py"),
    )
    wrong = [p.name for p, _ in sources() if drawing.search(p.read_text()) and not p.as_posix().endswith(allowed)]
    assert not wrong, wrong


def budgets(path: Path, tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """(what, its size, its budget) of a file and its functions."""
    place = path.relative_to(PACKAGE).as_posix()
    lines = len(path.read_text().splitlines())
    yield place, lines, 80 if place.startswith("verbs/") else 300
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            # A network's constructor is the home of its settings: one argument each, one line each.
            settings = node.name == "__init__" and place.startswith("networks/")
            docstring = len((ast.get_docstring(node, clean=False) or "").splitlines())
            yield f"{place}:{node.name}", (node.end_lineno or 0) - node.lineno + 1 - docstring, 50 if settings else 40
            yield f"arguments of {place}:{node.name}", len({*arguments} - {"self", "cls"}), 15 if settings else 8


def test_budgets() -> None:
    """Files of 300 lines, functions of 40 without their docstring, 8 arguments, verbs of 80, entry scripts of 30."""
    sizes = [size for path, tree in sources() for size in budgets(path, tree)]
    sizes += [(name, len((ROOT / name).read_text().splitlines()), 30) for name in ("train.py", "sample.py")]
    large = [f"{what}: {size}, not {budget}" for what, size, budget in sizes if size > LARGE.get(what, budget)]
    assert not large, large


def test_entry_scripts_import_no_torch_by_themselves() -> None:
    for script in ("train.py", "sample.py", "stylegen/__main__.py", "stylegen/config/command_line.py"):
        top = [n for n in ast.parse((ROOT / script).read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {name for node in top for name in imports(ast.Module([node], []))}
        assert not any(name.split(".")[0] in ("torch", "lightning", "hydra") for name in names), script


def test_tests_share_through_support_only() -> None:
    """Tests do not import tests; modules that are not tests are in tests/support."""
    tests = [p for p in (ROOT / "tests").rglob("*.py") if p.name not in ("__init__.py", "conftest.py")]
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in tests if p.name.startswith("test_")}
    wrong = [f"{p.name} imports {name}" for p in tests for name in imports(ast.parse(p.read_text())) if name in names]
    wrong += [p.name for p in tests if not p.name.startswith("test_") and p.parent.name != "support"]
    assert not wrong, wrong
