"""`models`: the trained models that come with the package, and their cards."""

from stylegen.checkpoints.packaged import names, packaged_model
from stylegen.config.settings import ModelsSettings


def run(settings: ModelsSettings) -> str:
    """A line for each model, or the whole card of one.

    Raises:
        UserError: an unknown name, or a damaged card.
    """
    if settings.name is not None:
        return str(packaged_model(settings.name))
    width = max(map(len, names()), default=0)
    lines = [f"{name:{width}s}  {packaged_model(name).card['title']}" for name in names()]
    return "\n".join([*lines, "", "models name=NAME prints its card; snapshot=NAME and init=NAME use it"])
