"""Every file in conf/ composes; the schema follows the constructors; errors for unknown names list the nearest."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from stylegen.augment import AUGMENTS, Controller
from stylegen.config.compose import _by_hydra, _composed, check_complete, compose_config
from stylegen.config.rules import notices
from stylegen.config.schema import register_schema
from stylegen.config.sections import as_dict
from stylegen.config.settings import CONF
from stylegen.config.train_composition import read_run_settings
from stylegen.config.yaml_file import dump_yaml
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, GENERATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.spec import ImageSpec
from stylegen.training.ema import EMA

OPTIONS = [
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for path in sorted(CONF.glob("*/*.yaml"))
    if path.parent.name != "study"  # read by `study`, not a group of `train`
]


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.startswith("experiment=")])
def test_every_option_composes(option: str) -> None:
    """Without experiments: `tests/verbs/test_experiments.py` composes and builds every one."""
    assert compose_config("train", [option, "data.path=openmoji"]).total_kimg > 0


def test_the_table_holds_files() -> None:
    assert "experiment=openmoji" in OPTIONS


@pytest.mark.parametrize(
    ("group", "constructor"),
    [
        ("generator", GENERATORS["stylegan2"]),
        ("discriminator", DISCRIMINATORS["stylegan2"]),
        ("regularizers.r1", REGULARIZERS["r1"]),
        ("regularizers.path_length", REGULARIZERS["path_length"]),
        ("augment", AUGMENTS["ada"]),
        ("augment", Controller),
        ("ema", EMA),
        ("data", ImageDataset),
    ],
)
def test_every_argument_is_a_setting_with_the_constructors_default(group: str, constructor: type) -> None:
    config = compose_config("train", ["experiment=none", "data=images", "data.path=x", "augment=ada"])
    for part in group.split("."):
        config = getattr(config, part)
    for name, parameter in inspect.signature(constructor).parameters.items():
        if name in ("resolution", "channels", "num_classes") and group != "data":
            assert not hasattr(config, name)  # the dataset decides
        elif name != "path":
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert getattr(config, name) == default, name


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("experiment=openmoji,auto", "train -m experiment=openmoji,auto"),
        ("batch_siz=3", "batch_size"),
        ("generator.chanel_base=3", "generator.channel_base"),
        ("gamma=3", "regularizers.r1.gamma"),
        (
            "batch_size=many",
            r"batch_size=many: must be an integer from 1 to 65536\. Use a value in this range, or omit batch_size",
        ),
        ("ema.kimg=foo", "ema.kimg=foo: must be a number from 0 to 10000000"),
        ("seed=1.5", r"seed=1.5: must be an integer from 0 to 2\^63 - 1"),
        ("data.use_labels=maybe", "data.use_labels=maybe: must be true or false"),
        ("regularizers=[r1,foo]", "regularizers=foo: no such regularizers. Known: .*lecam"),
        ("augment.p=0.2", "augment.p=0.2: augment=none has no settings. Add augment=ada or augment=diffaugment$"),
        ("growth.fade_kimg=3", "growth=none has no settings. Add growth=progan or .*growth=stylegan1 "),
        ("data=5", "data=5: no such data. Known: .*openmoji"),
        ("generator=stylegan9", "stylegan2"),
        ("generator.num_layers=8", "the chosen generator has no such setting.*or use generator=stylegan3"),
        ("experiment=openmojis", "openmoji"),
        ("loud", "setting=value"),
        ("experiment=null", "experiment=null"),
        ("regularizers.path_lengt.weight=1", "regularizers"),
        ("regularizers.lecam.weight=1", r"lecam is not among the regularizers of this run. Use regularizers=lecam"),
        ("regularizers=[r1,r1]", "r1 is given twice"),
        ("regularizers=null", "regularizers=null: no such regularizers. Known: .*none"),
        ("loss=", "loss=: no such loss. Known: .*hinge"),
        ("kimg=3", "Use total_kimg"),
        ("fidelity=none", "fidelity=none: fidelity is now called evaluation. Use evaluation=none"),
        ("fidelity.metrics=[fid]", r"fidelity.metrics=.* Use evaluation.metrics=.fid."),
        ("data.labelled=9", "Use data.labeled=9"),
        ("--gpus=8", "Use trainer.devices"),
        ("--gpus", "Use trainer.devices"),
        ("lr=0.1", "Use optimizer.g_lr and optimizer.d_lr"),
        ("snap=1", "Use snapshot_every_kimg"),
        ("aug=ada", "Use augment"),
        ("mirror=1", "Use data.mirror"),
        ("workers=1", "Use data.workers"),
        ("data={a:1}", r"\(data.a\): Key 'a' is not in struct"),
        (f"seed={'9' * 5000}", r"seed=9{72}\.\.\.: "),
        ("seed=${seed}", "Recursive interpolation"),
        ("~ema", "ema=null: must be a group of settings"),
        ("+foo=1", "foo=1: no such foo"),
        ("hydra.run.dir=x", "hydra.run.dir=x: train has no setting of this name"),
        ("regularizers.r1.gamma=-1", r"regularizers.r1.gamma=-1.0: must be a number from 0"),
    ],
)
def test_mistakes_are_met_with_the_nearest_names(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compose_config("train", [override])


def test_former_names_in_a_runs_settings_are_read(tmp_path: Path) -> None:
    settings = compose_config("train", ["data.use_labels=true"])
    text = dump_yaml(as_dict(settings)).replace("labeled: null", "labelled: 9").replace("evaluation:", "fidelity:")
    (tmp_path / "config.yaml").write_text(text)
    read = read_run_settings(tmp_path / "config.yaml")
    assert (read.data.labeled, read.evaluation) == (9, settings.evaluation)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(UserError, match="name is missing"):
        check_complete(compose_config("study", []))


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=ffhq1024_stylegan2", "batch_size=7", "generator.channel_base=64", "batch_size=8", "growth=none"],
        [
            "generator.z_dim=8",
            "generator=stylegan1",
            "growth=stylegan1",
            "growth.batch_sizes=[16,8]",
            "data.path='a b'",
        ],
        ["regularizers=r1", "regularizers.r1={gamma:3}", "trainer=slurm", "output_dir=${data.path}"],
        ["augment=ada", "batch_size=4", "~regularizers.r1", "++generator.z_dim=8"],
    ],
)
def test_settings_are_merged_as_hydra_merges_them(overrides: list[str]) -> None:
    register_schema("train")
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        expected, choices = _by_hydra("train", overrides)
        for _ in range(2):
            config, chosen = _composed("train", overrides)
            assert chosen == choices
            assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(expected)  # the order of keys too
            assert OmegaConf.is_struct(config)
            config.regularizers = {}  # the next composition does not have this


def test_composing_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compose_config("train", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("group", ["growth", "augment"])
def test_none_leaves_out_a_group_that_the_experiment_has(group: str) -> None:
    experiment = {"growth": "openmoji_stylegan1", "augment": "openmoji_ada"}[group]
    assert getattr(compose_config("train", [f"experiment={experiment}"]), group) is not None
    assert getattr(compose_config("train", [f"experiment={experiment}", f"{group}=none"]), group) is None


def test_stylegan3_has_neither_path_length_nor_mixing_with_its_preset() -> None:
    """Without the preset, a note lists what StyleGAN3 is published without."""
    dataset: Any = SimpleNamespace(notices=list, spec=ImageSpec(32))
    kept = compose_config("train", ["generator=stylegan3", "regularizers=r1_path_length", "style_mixing_prob=0.9"])
    assert notices(kept, dataset)[0].startswith("regularizers.path_length and style_mixing_prob=0.9: StyleGAN3 is publ")
    own = compose_config("train", ["experiment=none", "generator=stylegan3", "preset=stylegan3"])
    assert list(own.regularizers) == ["r1"]
    assert (own.style_mixing_prob, own.w_avg_decay) == (0, 0.998)
    assert (own.optimizer.g_lr, own.optimizer.d_lr) == (0.0025, 0.002)
    assert notices(own, dataset) == []
    assert notices(compose_config("train", []), dataset) == []
    assert (
        "limits the gradient norm"
        in notices(compose_config("train", ["loss=wasserstein", "regularizers=drift"]), dataset)[0]
    )
    assert notices(compose_config("train", ["preset=wgan"]), dataset) == []


def test_a_preset_replaces_an_experiments_objective() -> None:
    """The default recipe has R1; regularizers that are not chosen are left out with their settings."""
    config = compose_config("train", ["preset=stylegan2", "optimizer.d_lr=0.004"])
    assert {name: dict(r) for name, r in config.regularizers.items()} == {
        "r1": {"gamma": 10, "every": 16, "gamma_to": None, "gamma_kimg": 0},
        "path_length": {"weight": 2.0, "decay": 0.01, "every": 4, "batch_shrink": 2},
    }
    assert (config.optimizer.g_lr, config.optimizer.d_lr) == (0.002, 0.004)
    assert config.generator.arguments["channel_base"] == 1024, "the experiment's"
    assert list(compose_config("train", ["regularizers=path_length"]).regularizers) == ["path_length"]
    assert list(compose_config("train", ["regularizers=[path_length,r1]"]).regularizers) == ["path_length", "r1"]
    with pytest.raises(
        UserError, match=r"r1 is not among the regularizers of this run. Use regularizers=\[path_le.*r1\]"
    ):
        compose_config("train", ["regularizers=path_length", "regularizers.r1.gamma=3"])
