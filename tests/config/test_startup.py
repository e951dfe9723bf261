"""A verb imports only what it uses, measured by the modules loaded in a new process."""

import subprocess
import sys
from pathlib import Path

from stylegen.checkpoints.snapshot import save_snapshot
from tests.support.tiny import tiny_generator

ONLY_FOR_OTHER_VERBS = (
    *("lightning", "torchmetrics", "torchvision", "torch_fidelity", "wandb", "matplotlib", "scipy", "sympy"),
    *("torch._dynamo", "torch._inductor", "torch.distributed.fsdp", "torch.distributed.tensor"),
)


def loaded_after(code: str, names: tuple[str, ...]) -> set[str]:
    """Subset of `names` in sys.modules of a new process after running `code`."""
    report = f"print('loaded', *({set(names)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{code}\n{report}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_composing_the_settings_of_sample_imports_no_torch() -> None:
    code = "from stylegen.__main__ import main\nassert main(['sample', '--cfg', 'job']) == 0"
    assert loaded_after(code, (*ONLY_FOR_OTHER_VERBS, "torch", "numpy")) == set()


def test_sampling_imports_nothing_that_only_other_verbs_use(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {})
    arguments = ["sample", f"snapshot={tmp_path / 'a.safetensors'}", "seeds=0", f"out={tmp_path / 'out'}"]
    code = f"from stylegen.__main__ import main\nassert main({arguments!r}) == 0"
    assert loaded_after(code, (*ONLY_FOR_OTHER_VERBS, "torch")) == {"torch"}
    assert (tmp_path / "out" / "seed000000.png").is_file()


def test_training_on_unusable_data_is_refused_before_lightning_is_imported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ["train", f"data.path={tmp_path / 'empty'}", "experiment=auto", f"output_dir={tmp_path / 'run'}"]
    code = f"from stylegen.__main__ import main\nassert main({arguments!r}) == 2"
    assert loaded_after(code, ("lightning", "torchmetrics", "torchvision", "wandb", "matplotlib", "scipy")) == set()
