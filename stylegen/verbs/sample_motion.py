"""Motions of the image, from the settings of `sample`."""

from stylegen.config.sample_settings import SampleSettings
from stylegen.errors import UserError
from stylegen.latent.motion import check_movable, chosen_motion
from stylegen.latent.sampler import Sampler


def check_mode(settings: SampleSettings) -> None:
    """Raise UserError for settings of another mode, which the result would not show."""
    given = {"motion": (settings.motion != "none", "video"), "compare": (settings.compare is not None, "sticking")}
    for name, (is_given, mode) in given.items():
        if is_given and settings.mode != mode:
            raise UserError(
                f"{name}={getattr(settings, name)} with mode={settings.mode}",
                rule=f"{name} is a setting of mode={mode}",
                fix=f"Use mode={mode}, or omit {name}",
            )

    if settings.motion != "circle" and settings.motion_size != SampleSettings.motion_size:
        raise UserError(
            f"motion_size={settings.motion_size:g} with motion={settings.motion}",
            rule="motion_size is the radius of motion=circle",
            fix="Use mode=video motion=circle, or omit motion_size",
        )


def with_motion(sampler: Sampler, settings: SampleSettings) -> Sampler:
    """The sampler with the motion of the settings. Raises UserError, see `chosen_motion`."""
    motion = chosen_motion(sampler.generator, settings.translate, settings.rotate, settings.transform)
    if settings.motion != "none":
        check_movable(sampler.generator, f"motion={settings.motion}")
    return sampler.replaced(motion=motion)


def motion_names(settings: SampleSettings) -> list[str]:
    """The choices that move the image, as parts of a file name."""
    parts = [f"translate{settings.translate}"] * (settings.translate != "0,0")
    parts += [f"rotate{settings.rotate:g}"] * (settings.rotate != 0)
    return [*parts, *([] if settings.transform is None else [f"transform{settings.transform}"])]
