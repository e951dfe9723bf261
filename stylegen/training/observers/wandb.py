"""Weights & Biases: config, scalars against kimg, sample grids; one run id per run folder."""

import os
import secrets
import warnings
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from stylegen.bounds import Choice, Quoted, Range
from stylegen.distributed import is_rank0
from stylegen.errors import UserError, unknown_choice
from stylegen.files import write_text
from stylegen.training.observers.metrics_log import Record

MODES = ("auto", "online", "offline", "disabled")
_OLDER_MODES = {"dryrun": "offline", "run": "online"}
_NOT_IN_A_PROJECT = "/\\#?%:"


def check_logger(mode: str, project: str = "stylegen") -> None:
    """Raise UserError for an unknown mode, or a project name that W&B refuses."""
    if mode not in MODES:
        raise unknown_choice("logger.mode", mode, MODES)
    variable = os.environ.get("WANDB_MODE", "auto")
    if mode == "auto" and _OLDER_MODES.get(variable, variable) not in MODES:
        raise unknown_choice("WANDB_MODE", variable, MODES)
    if mode != "disabled" and (set(project) & set(_NOT_IN_A_PROJECT) or not 1 <= len(project) <= 128):
        raise UserError(
            f"logger.project={project}",
            rule=f"W&B takes names of 1 to 128 characters without {' '.join(_NOT_IN_A_PROJECT)}",
            fix="Use for example logger.project=stylegen; logger.entity is the account",
        )


class WandbRun:
    """Logs records and sample grids, on rank 0.

    Args:
        folder: the run folder. W&B writes to `folder`/wandb, and the run id is stored there for continued runs.
        config: plain values, shown with the run.
        mode: "auto" takes $WANDB_MODE; without it, online if W&B finds a key, else offline.
        project: name of the W&B project.
        entity: account or team of the W&B run.
        name: title of the W&B run; the folder's name by default.
        init_timeout: seconds to wait for the server. If it cannot be reached, the run is logged offline with one
            warning, and `wandb sync` uploads it later.
    """

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        mode: Annotated[str, Choice(MODES)] = "auto",
        project: Annotated[str, Quoted()] = "stylegen",
        entity: Annotated[str | None, Quoted()] = None,
        name: Annotated[str | None, Quoted()] = None,
        init_timeout: Annotated[float, Range(0, 3600, above=True)] = 20.0,
    ) -> None:
        check_logger(mode, project)
        self.folder, self.config, self.mode = folder, config, mode
        self.identity: dict[str, Any] = {"project": project, "entity": entity, "name": name or folder.name}
        self.init_timeout = init_timeout
        self._run: Any = None

    def start(self) -> None:
        if is_rank0() and (mode := self._effective_mode()) != "disabled":
            self._run = self._start(mode)
            self._run.define_metric("kimg")
            self._run.define_metric("*", step_metric="kimg")

    def log(self, record: Record) -> None:
        if self._run is not None:
            self._run.log(dict(record))

    def log_grid(self, kimg: float, path: Path) -> None:
        if self._run is not None:
            import wandb

            self._run.log({"kimg": kimg, "samples": wandb.Image(str(path))})

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None

    def _effective_mode(self) -> str:
        mode = os.environ.get("WANDB_MODE", "auto") if self.mode == "auto" else self.mode
        mode = _OLDER_MODES.get(mode, mode)
        if mode != "disabled" and not _is_address(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")):
            address = os.environ.pop("WANDB_BASE_URL")  # W&B rejects it even offline
            warnings.warn(f"WANDB_BASE_URL={address} is not an http(s) address; logging offline", stacklevel=2)
            return "offline"
        if mode != "auto":
            return mode
        import wandb  # takes seconds to import

        try:
            return "online" if wandb.login(prompt=False, verify=False) else "offline"
        except (wandb.errors.Error, ValueError) as error:
            warnings.warn(f"Weights & Biases refuses the key ({error}); logging offline", stacklevel=2)
            return "offline"

    def _start(self, mode: str) -> Any:
        import wandb

        try:
            return self._init(mode)
        except (wandb.errors.Error, ValueError) as error:
            if mode == "offline":
                raise
            warnings.warn(
                f"Weights & Biases cannot be reached ({error}); logging offline to {self.folder / 'wandb'}",
                stacklevel=2,
            )
            wandb.teardown()  # W&B's service holds the run id otherwise
            return self._init("offline")

    def _init(self, mode: str) -> Any:
        import wandb

        settings = wandb.Settings(init_timeout=self.init_timeout, console="off", silent=True)
        return wandb.init(
            dir=self.folder,
            config=self.config,
            id=self._run_id(),
            resume="allow" if mode == "online" else None,
            mode="online" if mode == "online" else "offline",
            settings=settings,
            **self.identity,
        )

    def _run_id(self) -> str:
        """The id of this run folder, generated on first use."""
        path = self.folder / "wandb" / "run_id.txt"
        if not path.exists():
            write_text(path, secrets.token_hex(4))
        return path.read_text().strip()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # invalid brackets or port
        return False
