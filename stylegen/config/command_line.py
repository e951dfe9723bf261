"""Converts overrides as typed to Hydra's grammar.

To Hydra `seeds=0-15,40` is a sweep, and a path with `~`, `(`, `#`, `=` or an accent is a grammar error. The values of
paths, and of settings marked `Quoted`, are therefore quoted before Hydra parses them. Imports no torch.
"""

import re
from collections.abc import Collection, Iterable

from stylegen.errors import UserError
from stylegen.former_names import RENAMED

ALIASES = {"class": "label", "classes": "label"}  # `class` is a keyword of Python

# Names in NVIDIA's and other training scripts -> names here.
OTHER_NAMES = {
    **dict.fromkeys(("kimg", "nimg", "total_images", "epochs", "max_steps"), "total_kimg"),
    **dict.fromkeys(("gpus", "num_gpus", "devices"), "trainer.devices"),
    **dict.fromkeys(("lr", "learning_rate", "glr", "dlr"), "optimizer.g_lr and optimizer.d_lr"),
    **dict.fromkeys(("batch", "bs"), "batch_size"),
    "batch_gpu": "batch_per_device",
    **dict.fromkeys(("snap", "snapshot_ticks"), "snapshot_every_kimg (and sample_every_kimg, checkpoint_every_kimg)"),
    "tick": "log_every_kimg",
    "gamma": "regularizers.r1.gamma",
    **dict.fromkeys(("pl_weight", "plw"), "regularizers.path_length.weight"),
    **dict.fromkeys(("mirror", "xflip"), "data.mirror"),
    "cond": "data.use_labels",
    "subset": "data.max_images",
    **dict.fromkeys(("workers", "num_workers"), "data.workers"),
    **dict.fromkeys(("outdir", "out_dir", "logdir"), "output_dir"),
    **dict.fromkeys(("aug", "augpipe"), "augment (augment=ada, augment=none) and augment.preset"),
    "p": "augment.p",
    "target": "augment.target",
    "initstrength": "augment.p",
    "cfg": "experiment (experiment=auto for StyleGAN2-ADA's cfg=auto); `--cfg job` prints the settings",
    "metrics": "evaluation.metrics",
    "freezed": "freeze_d",
    "cbase": "generator.channel_base and discriminator.channel_base",
    "cmax": "generator.channel_max and discriminator.channel_max",
    "map_depth": "generator.mapping_layers",
    "mbstd_group": "discriminator.mbstd_group_size",
    **dict.fromkeys(("fp16", "fp32", "bf16"), "precision (precision=fp32, bf16 or fp16)"),
    "z_dim": "generator.z_dim",
    "w_dim": "generator.w_dim",
    **dict.fromkeys(("trunc", "psi", "truncation"), "truncation_psi"),
    **dict.fromkeys(("network", "ckpt", "checkpoint", "model"), "snapshot"),
    **dict.fromkeys(("rows", "row_seeds"), "seeds"),
    **dict.fromkeys(("cols", "col_seeds"), "mix_seeds"),
    "styles": "layers",
    "noise_mode": "noise",
    "dest": "out",
}


def quote_override(override: str, names: Collection[str]) -> str:
    """`seeds=0-3,7` -> `seeds='0-3,7'`; other settings, quoted values and null are unchanged.

    Args:
        names: last parts of the settings to quote; see `stylegen.config.schema.quoted_names`.
    """
    match = re.fullmatch(r"([+~]{0,2}[\w./@-]+)=(.*)", override, re.DOTALL)
    if match is None:
        return override
    key, value = match.groups()
    key = ALIASES.get(key, key)
    last = re.split(r"[./@]", key)[-1]
    if last not in names or value in ("", "null") or value[0] in "'\"" or value.startswith("${"):
        return f"{key}={value}"
    # A quote is escaped by a backslash, so backslashes before a quote, the closing one too, are doubled.
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", value).replace("'", "\\'")
    return f"{key}='{escaped}'"


def key_of(override: str) -> str:
    """The key of an override without its prefix: `+data.path=x` -> `data.path`."""
    return override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]


def refuse_renamed(overrides: Iterable[str]) -> None:
    """Raise UserError for the first override of a renamed setting or group."""
    for override in overrides:
        key = key_of(override)
        for old, new in RENAMED.items():
            if key == old or key.startswith(f"{old}."):
                fix = override.lstrip("+~").replace(old, new, 1)
                raise UserError(override, rule=f"{old} is now called {new}", fix=f"Use {fix}")
