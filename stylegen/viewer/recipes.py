"""The command and the Python code that make the image of the page."""

import shlex
from dataclasses import replace
from typing import Any

from stylegen.viewer.page_state import PageState, Still

LATENTS = "latents.npz"


def recipes(state: PageState, snapshot: str, has_noise: bool = True) -> dict[str, Any]:
    """`command`, `python`, and `notes`: what they need, and what they leave out.

    Args:
        snapshot: the model, for `snapshot=`.
        has_noise: whether the network has noise inputs; others ignore the still's noise.
    """
    still = state.still if has_noise else replace(state.still, noise="const", noise_strength=1.0)
    is_seed, written_out = _is_seed(still), _is_written_out(still)
    readers = ["the command"] * (not is_seed) + ["the Python code"] * (not written_out)
    notes = [f"For {' and '.join(readers)}, save the latents as {LATENTS}."] * bool(readers)
    if still.noise == "random" and not is_seed:
        notes.append("The command has the noise of seed 0.")
    if still.noise_strength != 1 and still.noise != "none":
        notes.append("The command has noise of strength 1.")
    command = _command(still, snapshot) if is_seed else _command_of_latents(still, snapshot)
    return {"command": command, "python": _python(still, snapshot, written_out), "notes": notes}


def _is_seed(still: Still) -> bool:
    """Whether the styles come from one seed, unchanged."""
    moved = any(move.strength for move in still.moves)
    return still.source is None and not (still.x or still.y or still.mixed or moved)


def _is_written_out(still: Still) -> bool:
    """Whether the Python lines compute the styles; else they read them from the file of latents."""
    sources = still.source is not None or still.mix_source is not None
    return not sources and not any(move.strength for move in still.moves) and still.center == "all"


def _command(still: Still, snapshot: str) -> str:
    words = [f"snapshot={snapshot}", "mode=images", f"seeds={still.seed}", f"truncation_psi={still.psi!r}"]
    if still.cutoff is not None:
        words.append(f"truncation_cutoff={still.cutoff}")
    if still.center != "all":
        words.append(f"truncation_center={still.center}")
    if still.label is not None:
        words.append(f"label={still.label}")
    if still.noise != "const":
        words.append(f"noise={still.noise}")
    return shlex.join(["python", "sample.py", *words, "out=image"])


def _command_of_latents(still: Still, snapshot: str) -> str:
    words = [f"snapshot={snapshot}", f"latents={LATENTS}", "mode=images", "seeds=0", f"noise={still.noise}"]
    return shlex.join(["python", "sample.py", *words, "out=image"])


def _python(still: Still, snapshot: str, written_out: bool) -> str:
    imports, lines = ["import stylegen"], [f"model = stylegen.load({snapshot!r})"]
    if not written_out:
        imports.append("from stylegen.latent.latents_file import read_latents")
        lines.append(f"ws = read_latents({LATENTS!r}, model.generator).ws[:1]")
    else:
        truncation = f"psi={still.psi!r}, cutoff={still.cutoff!r}"
        label = "" if still.label is None else f", label={still.label!r}"
        if still.x or still.y:
            imports += ["import torch", "from stylegen.latent.interpolation import plane"]
            lines.append(f"a, right, down = model.ws([{still.seed}, {still.seed + 1}, {still.seed + 2}]{label})")
            lines.append(f"x, y = torch.tensor([{still.x!r}]), torch.tensor([{still.y!r}])")
            lines.append(f"ws = model.truncate(plane(a, right - a, down - a, x, y)[0], {truncation})")
        else:
            lines.append(f"ws = model.truncate(model.ws({still.seed}{label}), {truncation})")
        if still.mixed:
            imports.append("from stylegen.latent.mixing import mix")
            lines.append(f"other = model.truncate(model.ws({still.mix_seed}{label}), {truncation})")
            lines.append(f"ws = mix(ws, other, {list(still.mixed)})")
    if still.noise == "random" or (still.noise == "const" and still.noise_strength != 1):
        imports += ["from stylegen.images import to_uint8", "from stylegen.latent.noise_inputs import scaled_noise"]
        settings = f"[{still.seed}], {still.noise!r}, {still.noise_strength!r}"
        lines.append(f"noise = scaled_noise(model.generator, {settings})")
        lines.append("images = to_uint8(model.synthesis(ws, noise)).as_subclass(stylegen.Images)")
    else:
        lines.append(f"images = model.render(ws, noise={still.noise!r})")
    lines.append('images.save("image.png")')
    plain, ours = (
        sorted(i for i in imports if i.startswith("import")),
        sorted(i for i in imports if i.startswith("from")),
    )
    parts = ["\n".join(plain), *["\n".join(ours)] * bool(ours), "\n".join(lines)]
    return "\n\n".join(parts) + "\n"
