"""Files of a run: artifacts, code, and what is saved."""

from __future__ import annotations

import glob as globbing
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from rigorous_recorder.integrations.guest import guest

from .artifacts import Artifact, copied, found_artifact, stored
from .errors import UsageError
from .identity import Identity

__all__ = ["Files"]


class Files(Identity):
    """Copies files beside the collection, and logs records of them."""

    @guest
    def log_artifact(
        self,
        artifact_or_path: Artifact | str | PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | None = None,
        tags: list[str] | None = None,
    ) -> Artifact:
        """Copy files beside the collection, and log a record for each in a child of the run.

        The child has ``artifact``, ``artifact_type`` and ``version``; records ``path``, ``size`` in
        bytes and ``sha256``.
        """
        artifact = artifact_or_path
        if not isinstance(artifact, Artifact):
            path = Path(artifact)
            artifact = Artifact(name or f"run-{self.id}-{path.name}", type or "unspecified")
            add = artifact.add_dir if path.is_dir() else artifact.add_file
            add(path)
        if self.recorder is None:
            return artifact
        rows = stored(artifact, self._folder, [*(aliases or ["latest"]), *(tags or ())])
        about: dict[str, Any] = {"artifact": artifact.name, "artifact_type": artifact.type}
        about |= {"version": artifact.version, "artifact_metadata": artifact.metadata or None}
        child = self.recorder.child(about)
        for row in rows:
            child.push(row)
        return artifact

    def log_model(self, path: str | PathLike[str], name: str | None = None, **_: Any) -> Any:
        """Copy the files of a model, as an artifact of the type "model"."""
        return self.log_artifact(path, name, "model")

    def use_artifact(self, artifact_or_name: Any, type: str | None = None, **_: Any) -> Artifact:
        """An artifact that was logged in this project, by "name", "name:v0" or "name:alias".

        Raises:
            Error: there is none.
        """
        if isinstance(artifact_or_name, Artifact):
            return artifact_or_name
        found = found_artifact(str(artifact_or_name), self._folder)
        used = [*self._about.get("used_artifacts", []), f"{found.name}:{found.version}"]
        self._set({"used_artifacts": used})
        return found

    def use_model(self, name: str) -> str:
        """The path of a logged model: its file, or the folder of its files."""
        artifact = self.use_artifact(name)
        files = list(artifact.files())
        return artifact.file() if len(files) == 1 else artifact.download()

    @guest
    def log_code(
        self,
        root: str | PathLike[str] | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] = lambda path: path.endswith(".py"),
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Log the Python files below a folder, or those that are chosen, as an artifact.

        Its type is "code". Files in hidden folders, and those of the collection, are left out. None
        if there are no files.
        """
        folder = Path(root or ".").absolute()
        artifact = Artifact(name or f"source-{self.project}", "code")
        own = {self._folder.absolute(), self._folder.with_suffix(".collection").absolute()}
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = str(path.relative_to(folder))
            is_hidden = any(part.startswith(".") for part in Path(name).parts)
            if is_hidden or not own.isdisjoint(path.parents):
                continue
            is_excluded = exclude_fn is not None and _fits(exclude_fn, path, folder)
            if _fits(include_fn, path, folder) and not is_excluded:
                artifact.add_file(path, name)
        return self.log_artifact(artifact) if list(artifact.files()) else None

    @guest
    def save(
        self,
        glob_str: str | PathLike[str] = "",
        base_path: Any = None,
        policy: str = "live",
        glob: bool = True,
    ) -> list[str]:
        """Copy files that fit a pattern to ``dir``, as they are now; their paths there.

        They have the same path there as below ``base_path``, by default the current folder, or for an
        absolute pattern the folder above theirs.
        """
        pattern = Path(glob_str)
        base = Path(
            base_path or (pattern.parent.parent if pattern.is_absolute() else ".")
        ).absolute()
        found = sorted(globbing.glob(str(pattern))) if glob else [str(pattern)]  # noqa: PTH207
        files = [Path(name).absolute() for name in found if Path(name).is_file()]
        return [
            str(copied(each, Path(self.dir).absolute(), base))
            for each in files
            if self._started is not None
        ]

    def restore(
        self, name: str, run_path: Any = None, replace: bool = False, root: Any = None
    ) -> Any:
        """A file that was saved in this run, opened for reading.

        Raises:
            UsageError: there is none, or ``run_path`` names another run.
        """
        path = Path(self.dir, name)
        if run_path is not None or not path.is_file():
            message = f"there is no file {name!r} in {self.dir}; restore() takes those of this run"
            raise UsageError(message)
        return path.open()


def _fits(choose: Callable[..., bool], path: Path, root: Path) -> bool:
    """Whether a function of the user's, of a path or of a path and the root, chooses a file."""
    try:
        return bool(choose(str(path), str(root)))
    except TypeError:
        return bool(choose(str(path)))
