"""Which conditionings a generator can have."""

from stylegen.errors import UserError, unknown_choice
from stylegen.layers.conditioning import CONDITIONINGS


def told_what(conditioning: str, const_input: bool | None, num_classes: int) -> str:
    """What the layers of such a generator are told: "vector" (w), "index" (the label), or "none".

    Args:
        conditioning: name in `CONDITIONINGS`.
        const_input: whether the network begins with a learned constant; None leaves the choice.
        num_classes: of the data.

    Raises:
        UserError: an unknown name, labels that the data lack, or a constant that leaves the latent without effect.
    """
    if conditioning not in CONDITIONINGS:
        raise unknown_choice("generator.conditioning", conditioning, CONDITIONINGS)
    kind = CONDITIONINGS[conditioning].kind
    if kind == "index" and num_classes == 0:
        raise UserError(
            f"generator.conditioning={conditioning}",
            rule="its styles are those of classes, and the data are without labels",
            fix="Use data.use_labels=true with data that have them, or a conditioning that is told w, as adain",
        )
    if const_input and kind != "vector":
        raise UserError(
            f"generator.const_input=true generator.conditioning={conditioning}",
            rule="its layers are not told w, so the latent enters by the input alone, and a constant leaves it none",
            fix="Use generator.const_input=false, or leave it out",
        )
    return kind
