"""Published settings, copied by hand from the authors' repositories, papers and configuration pages, not from our YAML.

Sources: NVlabs/stylegan train.py and training_loop.py (`STYLEGAN1`), and loss.py and networks_progan.py (`WGAN_GP`,
`PROGAN`), NVlabs/stylegan2 run_training.py and training_loop.py (`STYLEGAN2`), NVlabs/stylegan2-ada-pytorch train.py
(`ADA`), NVlabs/stylegan3 train.py and docs/configs.md (AFHQv2, `STYLEGAN3T`, `STYLEGAN3R`), brownvc/R3GAN train.py and
README.md (`R3GAN`). `adam` has Adam's arguments after the published correction for lazy regularization: rate and beta2
of G and D; beta1 is always 0, epsilon 1e-8.
"""

from typing import Any

Row = dict[str, Any]


def lazy(rate: float, g_every: int | None, d_every: int | None) -> dict[str, tuple[float, float]]:
    """(rate, beta2) by network: rate * c and 0.99^c with c = every / (every + 1), or c = 1 for None."""
    c = {
        "G": 1.0 if g_every is None else g_every / (g_every + 1),
        "D": 1.0 if d_every is None else d_every / (d_every + 1),
    }
    return {network: (rate * c[network], 0.99 ** c[network]) for network in ("G", "D")}


STYLEGAN1: Row = {
    "generator": "stylegan1",
    "discriminator": "stylegan1",
    "G_maps": 16384,
    "D_maps": 16384,
    "max_maps": 512,
    "mapping": 8,
    "mapping_lr": 0.01,
    "z": 512,
    "w": 512,
    "const_input": True,
    "noise": True,
    "styles": "adain",
    "kimg": 25000,
    "mixing": 0.9,
    "w_avg": 0.995,
    "ema": 10,
    "rampup": None,
    "mbstd": 4,
    "mirror": True,
    "adam": lazy(0.001, None, None),
    "loss": "nonsaturating",
    "gamma": 10,
    "r1_every": 1,
    "path_length": None,
    "labels": False,
    "precision": "fp32",
    "augment": None,
    "metrics": ["fid50k"],
    "resampling": ([1, 2, 1], 128),  # blur, and fused_scale from this resolution
    "start": 8,
    "stable": 600,
    "fade": 600,
    # by resolution: sched.minibatch_dict and sched.G_lrate_dict
    "batches": {8: 256, 16: 128, 32: 64, 64: 32, 128: 32, 256: 32, 512: 32, 1024: 32},
    "rates": {8: 0.001, 16: 0.001, 32: 0.001, 64: 0.001, 128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003},
}
TRADITIONAL: Row = {"styles": "none", "const_input": False, "noise": False, "mixing": 0}  # pixel norm, no styles
# D_wgan_gp: weight and target of the penalty, and weight of the drift term, in every step. R1 is left out.
WGAN_GP: Row = {
    **{key: value for key, value in STYLEGAN1.items() if key not in ("gamma", "r1_every")},
    "loss": "wasserstein",
    "wgan_gp": (10, 1, 1),
    "drift": (0.001, 1),
}
PROGAN: Row = {  # config preset-v2-8gpus
    **WGAN_GP,
    **TRADITIONAL,
    "mapping": 0,
    "kimg": 12000,
    "resampling": ([1], 4),  # G_paper and D_paper: fused_scale, no blur
    "start": 4,
    "batches": {4: 512, **STYLEGAN1["batches"]},
    "rates": {4: 0.001, **STYLEGAN1["rates"]},
}
LSUN1: Row = {"mirror": False}

STYLEGAN2: Row = {
    "generator": "stylegan2",
    "discriminator": "stylegan2",
    "G_maps": 32768,
    "D_maps": 32768,
    "max_maps": 512,
    "mapping": 8,
    "mapping_lr": 0.01,
    "z": 512,
    "w": 512,
    "noise": True,
    "G_architecture": "skip",
    "D_architecture": "resnet",
    "taps": [1, 3, 3, 1],
    "kimg": 25000,
    "batch": 32,
    "mixing": 0.9,
    "w_avg": 0.995,
    "ema": 10,
    "rampup": None,
    "mbstd": 4,
    "mirror": True,
    "labels": False,
    "adam": lazy(0.002, 4, 16),
    "loss": "nonsaturating",
    "gamma": 10,
    "r1_every": 16,
    "path_length": (2, 4, 2, 0.01),
    "precision": "fp32",
    "clamp": None,
    "augment": None,
    "metrics": ["fid50k"],
}
CONFIG_E: Row = {**STYLEGAN2, "G_maps": 16384, "D_maps": 16384, "gamma": 100}
LSUN2: Row = {**STYLEGAN2, "mirror": False}

MIXED: Row = {
    "precision": "fp16",
    "num_fp16_res": 4,
    "clamp": 256,
    "metrics": ["fid50k_full"],
}
ADA_AUGMENT: Row = {"augment": ("bgc", 0.6, 4, 500)}  # augpipe, ada_target, ada_interval, ada_kimg
STYLEGAN2_MIXED: Row = {**STYLEGAN2, **MIXED}
PAPER256: Row = {
    **STYLEGAN2_MIXED,
    "batch": 64,
    "mbstd": 8,
    "G_maps": 16384,
    "D_maps": 16384,
    "adam": lazy(0.0025, 4, 16),
    "gamma": 1,
    "ema": 20,
}
PAPER512: Row = {**PAPER256, "G_maps": 32768, "D_maps": 32768, "gamma": 0.5}
PAPER1024: Row = {**STYLEGAN2_MIXED, "gamma": 2}
CIFAR: Row = {
    **STYLEGAN2_MIXED,
    "kimg": 100000,
    "batch": 64,
    "mbstd": 32,
    "gamma": 0.01,
    "ema": 500,
    "rampup": 0.05,
    "mapping": 2,
    # pl_weight=0 does not reset G_reg_interval=4, so G's Adam is corrected although G has no regularizer
    "adam": lazy(0.0025, 4, 16),
    "path_length": None,
    "mixing": 0,
    "D_architecture": "orig",
    "mirror": False,
    **ADA_AUGMENT,
    "metrics": ["fid50k_full"],
}

STYLEGAN3T: Row = {
    **{key: value for key, value in STYLEGAN2_MIXED.items() if key != "G_architecture"},
    "generator": "stylegan3",
    "mapping": 2,
    "noise": False,
    "kernel": 3,
    "radial": False,
    "layers": (14, 2),  # all, critically sampled
    "mixing": 0,
    "path_length": None,
    "w_avg": 0.998,
    "magnitudes": None,  # magnitude_ema_beta: 0.5^(batch / 20,000)
    "rampup": 0.05,
    "adam": {"G": lazy(0.0025, None, 16)["G"], "D": lazy(0.002, None, 16)["D"]},
    "gamma": 32.8,
    "blur": None,
    "metrics": ["fid50k_full"],
}
STYLEGAN3R: Row = {
    **STYLEGAN3T,
    "G_maps": 65536,
    "max_maps": (1024 + 512) / 2,  # of G and D
    "kernel": 1,
    "radial": True,
    "blur": (10, 200),  # blur_init_sigma, blur_fade_kimg
}
ABLATION3: Row = {"batch": 64, "gamma": 1, "ema": 20, "D_maps": 16384, "adam": lazy(0.0025, None, 16)}
TRANSFER3: Row = {"kimg": 5000, "augment": ("bgc", 0.6, 4, 100), "rampup": None, "blur": None}

PUBLISHED: dict[str, Row] = {
    "ffhq1024_stylegan1": STYLEGAN1,
    "ffhq1024_stylegan1_b": {**STYLEGAN1, **TRADITIONAL, "mapping": 0},
    "ffhq1024_stylegan1_c": {**STYLEGAN1, "const_input": False, "noise": False, "mixing": 0},
    "ffhq1024_stylegan1_d": {**STYLEGAN1, "noise": False, "mixing": 0},
    "ffhq1024_stylegan1_e": {**STYLEGAN1, "mixing": 0},
    "ffhq1024_stylegan1_mix50": {**STYLEGAN1, "mixing": 0.5},
    "ffhq1024_stylegan1_mix100": {**STYLEGAN1, "mixing": 1},
    "ffhq1024_stylegan1_traditional8": {**STYLEGAN1, **TRADITIONAL, "mapping": 8},
    "ffhq1024_stylegan1_mapping0": {**STYLEGAN1, "mapping": 0},
    "ffhq1024_stylegan1_mapping1": {**STYLEGAN1, "mapping": 1},
    "ffhq1024_stylegan1_mapping2": {**STYLEGAN1, "mapping": 2},
    "ffhq512_stylegan1": STYLEGAN1,
    "ffhq256_stylegan1": STYLEGAN1,
    "ffhq1024_stylegan1_a": PROGAN,
    "celebahq1024_stylegan1": {**WGAN_GP, "rates": {**STYLEGAN1["rates"], 512: 0.002, 1024: 0.002}},
    "celebahq1024_stylegan1_a": PROGAN,
    "lsunbedroom256_stylegan1": {**STYLEGAN1, **LSUN1, "kimg": 70000},
    "lsuncat256_stylegan1": {**STYLEGAN1, **LSUN1, "kimg": 70000},
    "lsuncar512_stylegan1": {**STYLEGAN1, **LSUN1, "kimg": 46000},
    "ffhq1024_stylegan2": {**STYLEGAN2_MIXED, "metrics": ["fid50k"]},
    "ffhq256_stylegan2": STYLEGAN2_MIXED,
    "ffhq1024_stylegan2_e": CONFIG_E,
    **{
        f"ffhq1024_stylegan2_e_g{g}_d{d}": {**CONFIG_E, "G_architecture": g, "D_architecture": d}
        for g in ("orig", "skip", "resnet")
        for d in ("orig", "skip", "resnet")
        if (g, d) != ("skip", "resnet")  # config E itself
    },
    "lsuncar512_stylegan2": {**LSUN2, "kimg": 57000},
    "lsuncat256_stylegan2": {**LSUN2, "kimg": 88000},
    "lsunchurch256_stylegan2": {**LSUN2, "kimg": 88000, "gamma": 100},
    "lsunhorse256_stylegan2": {**LSUN2, "kimg": 100000, "gamma": 100},
    "ffhq256_paper256": PAPER256,
    "ffhq256_ada": {**PAPER256, **ADA_AUGMENT},
    "lsuncat256_ada": {**PAPER256, **ADA_AUGMENT, "mirror": False},
    "ffhq512_paper512": PAPER512,
    "afhqcat512_ada": {**PAPER512, **ADA_AUGMENT},
    "afhqdog512_ada": {**PAPER512, **ADA_AUGMENT},
    "afhqwild512_ada": {**PAPER512, **ADA_AUGMENT},
    "brecahad512_ada": {**PAPER512, **ADA_AUGMENT},
    "ffhq1024_paper1024": PAPER1024,
    "metfaces1024_ada": {**PAPER1024, **ADA_AUGMENT},
    "metfaces1024_transfer": {**PAPER1024, "augment": ("bgc", 0.6, 4, 100)},  # --resume
    "metfaces1024_stylegan2": {
        **STYLEGAN2_MIXED,
        "augment": ("bgc", 0.6, 4, 100),
        "gamma": 5,
        "kimg": 5000,
        "w_avg": 0.998,
    },
    "afhqv2_512_ada": {**STYLEGAN2_MIXED, **ADA_AUGMENT, "gamma": 5, "rampup": 0.05, "w_avg": 0.998},
    **{
        f"{data}_stylegan3{config}": {**row, "gamma": gamma}
        for data, gamma in (("ffhq1024", 32.8), ("ffhqu1024", 32.8), ("ffhq512", 8), ("ffhqu512", 8), ("ffhq256", 2))
        for config, row in (("t", STYLEGAN3T), ("r", STYLEGAN3R))
    },
    "ffhqu256_stylegan3t": {**STYLEGAN3T, **ABLATION3, "G_maps": 16384},
    "ffhqu256_stylegan3r": {**STYLEGAN3R, **ABLATION3, "G_maps": 32768, "blur": (10, 400)},
    "afhqv2_512_stylegan3t": {**STYLEGAN3T, **ADA_AUGMENT, "gamma": 8.2},
    "afhqv2_512_stylegan3r": {**STYLEGAN3R, **ADA_AUGMENT, "gamma": 16.4},
    "metfaces1024_stylegan3t": {**STYLEGAN3T, **TRANSFER3, "gamma": 6.6},
    "metfaces1024_stylegan3r": {**STYLEGAN3R, **TRANSFER3, "gamma": 3.3},
    "metfacesu1024_stylegan3t": {**STYLEGAN3T, **TRANSFER3, "gamma": 16.4},
    "metfacesu1024_stylegan3r": {**STYLEGAN3R, **TRANSFER3, "gamma": 6.6},
    "cifar10_conditional": {**CIFAR, "labels": True},
    "cifar10_unconditional": CIFAR,
}

# Presets CIFAR10 and FFHQ-256. Pairs are the ends of cosine schedules over `schedule` kimg.
R3GAN: dict[str, Row] = {
    "cifar10_r3gan": {
        "widths": [768] * 4,
        "cardinality": [96] * 4,
        "z": 64,
        "label_embeddings": (64, 768),
        "kimg": 250_000,
        "batch": 512,
        "bf16": [8, 16, 32],
        "schedule": 20_000,
        "lr": (2e-4, 5e-5),
        "beta2": (0.9, 0.99),
        "gamma": (0.05, 0.005),
        "ema": (0, 5000),
        "augment": (0, 0.55),
        "metrics": ["fid50k_full", "is50k"],
    }
}
R3GAN["ffhq256_r3gan"] = R3GAN["cifar10_r3gan"] | {
    "widths": [768] * 4 + [384, 192, 96],
    "cardinality": [96] * 4 + [48, 24, 12],
    "label_embeddings": None,
    "kimg": 200_000,
    "batch": 256,
    "bf16": [32, 64, 128, 256],
    "gamma": (150, 15),
    "ema": (0, 500),
    "augment": (0, 0.3),
    "metrics": ["fid50k_full"],
}
