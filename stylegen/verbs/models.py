"""`models`: the trained models that come with the package, with their cards, and the published ones."""

from stylegen.checkpoints.packaged import names, packaged_model
from stylegen.checkpoints.published_models import PUBLISHED_MODELS
from stylegen.config.settings import ModelsSettings
from stylegen.errors import unknown_choice


def run(settings: ModelsSettings) -> str:
    """A line for each model, or everything about one.

    Raises:
        UserError: an unknown name, or a damaged card.
    """
    name = settings.name
    if name in PUBLISHED_MODELS:
        return f"{name}: {PUBLISHED_MODELS[name]}"
    if name is not None:
        if name not in names():
            raise unknown_choice("model", name, [*names(), *PUBLISHED_MODELS])
        return str(packaged_model(name))
    own = {name: packaged_model(name).card["title"] for name in names()}
    published = {name: model.title for name, model in PUBLISHED_MODELS.items()}
    width = max(map(len, [*own, *published]))
    return "\n".join(
        [
            *(f"{name:{width}s}  {title}" for name, title in own.items()),
            "",
            "downloaded (or by hand, in a browser) and converted at first use; for non-commercial purposes:",
            *(f"{name:{width}s}  {title}" for name, title in published.items()),
            "",
            "`models name=NAME` shows its license and URL; snapshot=NAME and init=NAME use it",
        ]
    )
