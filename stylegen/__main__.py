"""`python -m stylegen VERB [overrides]`, also installed as the command `stylegen`."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from stylegen import __version__
from stylegen.cpus import keep_freed_memory
from stylegen.errors import RunError, Stopped, UserError, printable, unknown_choice

VERBS = {
    "train": "train a generator: train data.path=FOLDER_OR_ZIP",
    "sample": "generate images: sample snapshot=RUN_or_MODEL mode=images|grid|truncation|mixing seeds=0-15",
    "evaluate": "compute metrics of a snapshot or a set of images: evaluate snapshot=RUN metrics=[fid]",
    "diagnose": "report problems of a run and how to fix them: diagnose run=RUN",
    "prepare": "make a dataset from any images: prepare source=DIR out=FILE.zip",
    "convert": "import checkpoints from other implementations; resize or blend models: convert source=FILE out=FILE",
    "export": "export a generator to ONNX, torch.export, PyTorch or Hugging Face: export format=onnx out=FILE",
    "project": "project images into latent space (GAN inversion): project images=photo.png out=projected",
    "directions": "find semantic latent directions (SeFa, GANSpace, InterFaceGAN): directions out=FILE.safetensors",
    "view": "open models in the browser: view snapshot=RUN_or_MODEL",
    "models": "list packaged and downloadable models: models name=nvidia/ffhq1024",
    "sensitivity": "measure how metrics respond to known degradations: sensitivity data.path=DIR out=table.md",
    "study": "compare variants under an equal budget: study name=conditioning seeds=0-2",
    "bench": "benchmark training, sampling and data loading: bench what=train|sample|memory|data experiment=NAME",
}
HELP = f"""stylegen {__version__}: train, sample and evaluate StyleGANs.

usage: python -m stylegen VERB [setting=value ...] [--cfg job]

{chr(10).join(f"  {verb:12s}{what}" for verb, what in VERBS.items())}

`VERB --help` lists its settings; `--cfg job` prints the composed settings and exits.
`train -m seed=0,1,2` trains once for each value.
`source <(stylegen --completion bash)` (or zsh) completes verbs, settings and groups.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb -> exit status: 0, 1 for a failure at run time, 2 for unusable input, 128 + n for signal n."""
    with unbroken_streams():  # `| head -1` does not end a training; other broken pipes are errors
        return _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(_help(arguments), end="")
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    try:
        if arguments[0] in ("--completion", "--complete"):
            print(_completion(*arguments), end="")
            return 0
        return _run(arguments[0], arguments[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that was deleted or cannot be read
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {printable(f'{where}{error.strerror or error}')}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        if str(stopped):  # other ranks have no message
            print(stopped, file=sys.stderr)
        return stopped.status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _help(arguments: Sequence[str]) -> str:
    if not arguments or arguments[0] not in VERBS:
        return HELP
    from stylegen.config.help import help_of

    return help_of(arguments[0], f"stylegen {arguments[0]}: {VERBS[arguments[0]]}")


def _completion(option: str, value: str = "", *_: str) -> str:
    """The completion script of a shell, or the completions after a verb; without a verb, all verbs."""
    from stylegen.config.help import COMPLETIONS, words

    if option == "--complete":
        return "\n".join(words(value) if value else VERBS) + "\n"
    if value not in COMPLETIONS:
        raise unknown_choice("--completion", value, COMPLETIONS)
    return COMPLETIONS[value]


def _run(verb: str, arguments: list[str]) -> int:
    if verb not in VERBS:
        raise unknown_choice("verb", verb, VERBS)
    from stylegen.config.compose import check_complete, compose_config

    show = "--cfg" in arguments
    if show:
        position = arguments.index("--cfg")
        if arguments[position + 1 : position + 2] != ["job"]:
            raise UserError(" ".join(arguments[position:]), rule="--cfg shows the job's settings", fix="Use --cfg job")
        del arguments[position : position + 2]
    if {"-m", "--multirun"} & set(arguments):
        if show:
            raise UserError(
                "-m with --cfg job", rule="--cfg shows the settings of one run", fix="Remove -m or --cfg job"
            )
        from stylegen.verbs.sweep import FLAGS, run_sweep

        return run_sweep(verb, [a for a in arguments if a not in FLAGS])
    if verb == "train":
        from stylegen.config.train_composition import compose_train

        config = compose_train(arguments)
    else:
        config = compose_config(verb, arguments)
    if show:
        from stylegen.config.sections import as_dict
        from stylegen.config.yaml_file import dump_yaml

        print(dump_yaml(as_dict(config)), end="")
        return 0
    check_complete(config)
    keep_freed_memory()
    result = importlib.import_module(f"stylegen.verbs.{verb}").run(config)
    if result is not None:  # other ranks have no message
        print(result, flush=True)
    return 0


class _Unbroken:
    """A text stream that discards its output after the reader has closed the pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        """Redirect to the null device; flushing the buffer at exit would fail again otherwise."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def unbroken_streams() -> Iterator[None]:
    """Context manager: writing to standard output or error never raises BrokenPipeError."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Unbroken(out), _Unbroken(err)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = out, err


if __name__ == "__main__":
    sys.exit(main())
