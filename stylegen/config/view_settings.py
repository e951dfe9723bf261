"""Settings of `python -m stylegen view`."""

from dataclasses import dataclass

from stylegen.bounds import Device, FilePath, Range, setting


@dataclass(frozen=True)
class ViewSettings:
    """`python -m stylegen view`."""

    snapshot: FilePath | None = setting(
        None,
        help="a model as in `sample`, a run folder (all its snapshots), or a folder of runs; null for the packaged "
        "models and the runs in runs/",
    )
    directions: FilePath | None = setting(None, help="a file that `directions` wrote, or a folder of them")
    host: str = setting(
        "127.0.0.1", help="address to listen on; 0.0.0.0 for all addresses of this machine, with a warning", quoted=True
    )
    port: int = setting(8000, Range(1024, 65535), help="the next free port is used if it is in use")
    browser: bool = setting(True, help="open the address in a browser")
    projection_steps: int = setting(
        200, Range(1, 100_000), help="steps of the projection of a dropped image, in W and again in W+"
    )
    device: Device = setting("auto", help="device of the generators")
    export: FilePath | None = setting(
        None, help="in place of a server: a folder for a static page that runs the model in the browser, without Python"
    )
    runtime: FilePath | None = setting(
        None, help="export: a folder with the package onnxruntime-web; null downloads it once, with npm"
    )
