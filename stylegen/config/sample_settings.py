"""Settings of `python sample.py`."""

from dataclasses import dataclass

from stylegen.bounds import MOTIONS, SEED_SOURCES, Choice, Count, Depth, Device, FilePath, Range, Share, setting


@dataclass(frozen=True)
class SampleSettings:
    """`python sample.py`."""

    snapshot: FilePath = setting(
        "portraits64",
        help="a .safetensors file, a run folder (its newest), a model that `models` lists, hf:USER/NAME, or a "
        "checkpoint from another implementation (see `convert`)",
    )
    mode: str = setting(
        "auto",
        Choice(
            (
                "auto",
                "images",
                "grid",
                "truncation",
                "mixing",
                "noise",
                "interpolation",
                "classes",
                "directions",
                "sticking",
                "video",
            )
        ),
        help="single images, a figure, or a video; auto: images, or a grid of a packaged model",
    )
    seeds: str = setting(
        "0-15",
        help="seeds and ranges; rows of truncation, mixing and noise figures; path of interpolations and videos",
        quoted=True,
    )
    seed_source: str = setting(
        "auto",
        Choice(("auto", *SEED_SOURCES)),
        help="z of a seed; numpy: RandomState(seed).randn, as in NVIDIA's figures; auto: numpy for imported networks",
    )
    mix_seeds: str = setting(
        "100-107", help="seeds of the columns of the mixing figure; their styles are copied", quoted=True
    )
    layers: str = setting(
        "coarse",
        help="styles to copy: coarse (4-8 px), middle (16-32), fine (64 and up), all, none, or numbers such as 4-7; "
        "with weights: coarse:0.5,8-9",
        quoted=True,
    )
    directions: FilePath | None = setting(None, help="mode=directions: a file of `python -m stylegen directions`")
    direction: str = setting("0", help="numbers or names of its directions, as in 0-4", quoted=True)
    direction_layers: str | None = setting(
        None, help="styles to move, as layers=; null for those the directions were made for", quoted=True
    )
    strengths: list[float] = setting(
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0],
        Range(-100, 100),
        help="columns of mode=directions, in standard deviations of w along the direction",
    )
    psis: list[float] = setting(
        [-1.0, -0.7, -0.5, 0.0, 0.5, 0.7, 1.0], Range(-100, 100), help="the columns of the truncation figure"
    )
    latents: FilePath | None = setting(
        None, help="an .npz file of `project` or mode=images, whose images are then the seeds 0, 1, ..."
    )
    mix_latents: FilePath | None = setting(None, help="the same for mix_seeds")
    truncation_psi: float | None = setting(
        None, Range(-100, 100), help="psi of w_avg + psi (w - w_avg); null for 0.7, and 1 with latents= or mix_latents="
    )
    truncation_cutoff: Depth | None = setting(None, help="number of layers that are truncated; null for all")
    truncation_center: str = setting(
        "all", Choice(("all", "class")), help="toward the mean of all w, or of the w of the image's class"
    )
    noise: str = setting(
        "const",
        Choice(("const", "none", "random")),
        help="const: as stored with the weights; none; random: a function of the seed",
    )
    label: str | None = setting(
        None,
        help="class, by name or index, also written class= or classes=; several in turn: 0,2,4; a mixture or "
        "attributes: 0:0.5,2:0.5; null samples one for each seed",
        quoted=True,
    )
    translate: str = setting(
        "0,0",
        help="StyleGAN3: move the image by x,y in units of its width, to the right and down, after rotate=",
        quoted=True,
    )
    rotate: float = setting(
        0.0, Range(-36000, 36000), help="StyleGAN3: rotate the image by this angle in degrees, counter-clockwise"
    )
    transform: str | None = setting(
        None,
        help="StyleGAN3: any affine motion of the image in place of both, as nine numbers of a matrix, row by row: "
        "1,0,0.1,0,1,0,0,0,1",
        quoted=True,
    )
    motion: str = setting(
        "none",
        Choice(MOTIONS),
        help="StyleGAN3: what the frame of a video does: goes around a circle, or rotates once",
    )
    motion_size: float = setting(0.1, Range(0, 10), help="radius of motion=circle, in units of the image's width")
    compare: FilePath | None = setting(None, help="mode=sticking: a second snapshot, beside the first")
    batch_size: Count = setting(16, help="images per batch")
    save_latents: bool = setting(True, help="mode=images: write styles, labels and seeds too, for latents=")
    scale: int | None = setting(
        None, Range(1, 64), help="enlarge each pixel to scale x scale; null enlarges small images in figures to 64 px"
    )
    columns: int | None = setting(
        None, Range(1, 10000), help="columns of a grid, or of a video's tiles; null for a square"
    )
    frames: int | None = setting(
        None, Range(1, 1000), help="steps from one seed to the next; null for 8 in an interpolation, 24 in a video"
    )
    fps: float = setting(24.0, Range(1, 120), help="frames per second of a video; at most 50 of .webp and .gif")
    keyframes: str | None = setting(
        None,
        help="seconds at which a video shows each seed of a tile, as in 0,2.5,4, in place of frames=; with loop=true "
        "possibly one more, for the return to the first",
        quoted=True,
    )
    loop: bool = setting(
        True, help="a video returns to its first seed, so that it can be repeated; else it ends with the last"
    )
    audio: FilePath | None = setting(
        None,
        help="a sound file for an .mp4: it varies the speed of the walk, and determines its length without frames=",
    )
    audio_follows: str = setting(
        "loudness", Choice(("loudness", "onsets")), help="what makes the walk fast: loud parts, or beginnings of notes"
    )
    audio_reaction: Share = setting(0.7, help="0: constant speed; 1: speed proportional to loudness or onsets")
    tiles: Count = setting(1, help="number of images in a video, each with its own part of the seeds")
    captions: bool = setting(True, help="print seeds, psi and layers along the edges of a figure")
    out: FilePath | None = setting(
        None,
        help="single images: a folder, .zip or .npz; .png of a figure, .webp, .gif or .mp4 of a video; null for "
        "sampled/ in the snapshot's run, named after kimg, psi and seeds. Files with other contents are never "
        "overwritten",
    )
    device: Device = setting("auto", help="device of the generator")
