"""What a run is: its names, where its files go, and what W&B's scripts read of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rigorous_recorder import Recorder
from rigorous_recorder import Run as Started
from rigorous_recorder.integrations.guest import guest, set_attributes
from rigorous_recorder.integrations.joining import Beside

from .settings import Settings

__all__ = ["Identity"]


class Identity:
    """Attributes of a run, under the names that W&B's have."""

    def __init__(
        self,
        started: Started | Beside | None,
        about: Mapping[str, Any],
        *,
        folder: Path,
        step: int,
        resumed: bool,
        settings: Mapping[str, Any],
    ) -> None:
        self._started = started
        self._about = dict(about)
        self._folder = folder
        self._step = self.starting_step = step
        self.resumed = resumed
        self.start_time = time.time()
        self._settings = dict(settings)
        #: Where ``resume="auto"`` finds the id, until the run has ended well.
        self.resume_file: Path | None = None

    @guest
    def _set(self, about: dict[str, Any]) -> None:
        self._about |= about
        if self.recorder is not None:
            set_attributes(self.recorder, about)

    @property
    def recorder(self) -> Recorder | None:
        """The recorder that it logs to; None if it is disabled."""
        return self._started.recorder if self._started else None

    @property
    def id(self) -> str:
        """The id, by which ``init(id=..., resume="allow")`` goes on."""
        return str(self._about["run_id"])

    @property
    def name(self) -> str:
        """The name; the id if it has none."""
        return str(self._about.get("name") or self.id)

    @name.setter
    def name(self, name: str | None) -> None:
        self._set({"name": name, "run": name or self.id})

    @property
    def notes(self) -> str | None:
        """A text about the run."""
        return self._about.get("notes")

    @notes.setter
    def notes(self, notes: str) -> None:
        self._set({"notes": notes})

    @property
    def tags(self) -> tuple[str, ...]:
        """Texts to find it by."""
        return tuple(self._about.get("tags") or ())

    @tags.setter
    def tags(self, tags: Any) -> None:
        self._set({"tags": [tags] if isinstance(tags, str) else list(tags)})

    @property
    def project(self) -> str:
        """The name of the collection."""
        return str(self._about["project"])

    def project_name(self) -> str:
        """The name of the collection."""
        return self.project

    @property
    def entity(self) -> str:
        """What was given as ``entity``; nothing is sent there."""
        return str(self._about.get("entity") or "")

    @property
    def group(self) -> str:
        """The group that it belongs to."""
        return str(self._about.get("group") or "")

    @property
    def job_type(self) -> str:
        """What kind of job of its group it is."""
        return str(self._about.get("job_type") or "")

    @property
    def path(self) -> str:
        """``entity/project/id``."""
        return "/".join(each for each in (self.entity, self.project, self.id) if each)

    @property
    def dir(self) -> str:
        """A folder for files of the run, which exists."""
        folder = self._folder / self.id / "files"
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    @property
    def step(self) -> int:
        """The step of the next record without one."""
        return self._step

    @property
    def settings(self) -> Settings:
        """What was given, its names, and ``mode``."""
        names = {
            f"run_{key}": self._about.get(key) for key in ("name", "group", "job_type", "notes")
        }
        mode = "disabled" if self.disabled else "offline"
        about = {"project": self.project, "entity": self.entity or None, "mode": mode}
        own = {"run_id": self.id, "run_tags": self.tags, **about, **names}
        return Settings(**{**self._settings, **own})

    @property
    def offline(self) -> bool:
        """True: nothing is sent anywhere."""
        return True

    @property
    def disabled(self) -> bool:
        """Whether nothing is logged."""
        return self._started is None

    @property
    def url(self) -> None:
        """None: there is no server."""

    def get_url(self) -> None:
        """None: there is no server."""

    @property
    def sweep_id(self) -> None:
        """None: there are no sweeps."""
