"""What MLflow has and this module has not: a call reports what to use instead, and never fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final, NoReturn, Self

from rigorous_recorder._once import remembered
from rigorous_recorder._report import report

from .exceptions import MlflowException

__all__ = [
    "LIBRARIES",
    "Library",
    "Nothing",
    "absent",
    "autolog",
    "delete_run",
    "instead",
    "stand_in",
    "trace",
]

_CALLBACKS: Final = "docs/integrations.md has a callback for each library"
_MODELS: Final = "save the model to a file, and log_artifact() that"
_VALUES: Final = "run.push() logs times and values of your own"

#: Libraries of which scripts call ``mlflow.<library>.autolog`` and ``log_model``, and parts of MLflow
#: that are about models and traces.
LIBRARIES: Final = frozenset(
    {
        *("ag2", "agno", "anthropic", "autogen", "bedrock", "catboost", "crewai"),
        *("deepseek", "diviner", "dspy", "fastai", "gateway", "gemini", "genai", "groq"),
        *("h2o", "haystack", "johnsnowlabs", "keras", "langchain", "lightgbm", "litellm"),
        *("llama_index", "metrics", "mistral", "models", "onnx", "openai", "paddle"),
        *("pmdarima", "projects", "promptflow", "prophet", "pydantic_ai", "pyfunc"),
        *("pyspark", "pytorch", "semantic_kernel", "sentence_transformers", "shap"),
        *("sklearn", "smolagents", "spacy", "spark", "statsmodels", "strands"),
        *("tensorflow", "tracing", "transformers", "txtai", "types", "xgboost"),
    }
)
#: Words in the names of functions that are not there, and what to use instead of these.
_INSTEAD: Final = {
    "load_table": "collection.records.where(table=...) has its rows",
    **dict.fromkeys(("model", "log_outputs", "import_checkpoints", "latest_versions"), _MODELS),
    **dict.fromkeys(("trace", "span", "session"), _VALUES),
    **dict.fromkeys(("assessment", "feedback", "expectation", "issue", "prompt"), _VALUES),
    "evaluat": "compute the metrics, and log_metrics() them",
    **dict.fromkeys(("doctor", "login", "workspace"), "there is no server"),
    **dict.fromkeys(
        ("delete_experiment", "restore", "rename", "webhook", "mcp", "dataset"),
        "ExperimentCollection has what changes collections",
    ),
}


@remembered(1_000)
def _report_once(line: str) -> None:
    report(line)


class _Kind(type):
    """A class whose constants are nothing, such as ``SpanType.TOOL``."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return Nothing()


class Nothing(metaclass=_Kind):
    """What a call returns that does nothing: its attributes, items and calls are nothing as well."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Nothing again."""
        return Nothing()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int):
            raise IndexError(key)
        return Nothing()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __str__(self) -> str:
        return ""

    def __format__(self, form: str) -> str:
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def stand_in(name: str) -> type:
    """A class of MLflow's, to make instances of or to inherit from; they do nothing."""
    return _Kind(name, (Nothing,), {})


def instead(name: str) -> str | None:
    """What to use instead of a function; None if MLflow has none of the name."""
    return next((advice for word, advice in _INSTEAD.items() if word in name), None)


def absent(name: str, advice: str) -> Callable[..., Any]:
    """A function that does nothing, and reports so once."""

    def call(*_: Any, **__: Any) -> Any:
        _report_once(f"mlflow.{name}() does nothing here: {advice}")
        return Nothing()

    call.__name__ = call.__qualname__ = name
    return call


def _loading(name: str) -> Callable[..., NoReturn]:
    def call(*_: Any, **__: Any) -> NoReturn:
        message = (
            f"mlflow.{name}() finds nothing here, since no models are stored: load the file that"
            " log_artifact() copied; mlflow.artifacts.download_artifacts() has its path"
        )
        raise MlflowException(message)

    return call


class Library(ModuleType):
    """``mlflow.sklearn`` and the like: no models are stored, and nothing is logged by itself."""

    def autolog(self, *_: Any, disable: bool = False, **__: Any) -> None:
        """Log nothing, and report so."""
        if not disable:
            _report_once(f"mlflow.{self._short}.autolog() logs nothing here; {_CALLBACKS}")

    @property
    def _short(self) -> str:
        return self.__name__.partition(".mlflow.")[2]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name[0].isupper():  # a class, which may be one to inherit from
            return stand_in(name)
        if name == "infer_signature":  # which only log_model takes
            return Nothing()
        full = f"{self._short}.{name}"
        return _loading(full) if name.startswith("load_") else absent(full, _advice(name))


def _advice(name: str) -> str:
    return instead(name) or _MODELS


def autolog(*_: Any, disable: bool = False, **__: Any) -> None:
    """Log nothing, and report so: ``rigorous_recorder.integrations`` has a callback for each library."""
    if not disable:
        _report_once(f"mlflow.autolog() logs nothing here; {_CALLBACKS}")


def delete_run(run_id: str) -> None:
    """Delete nothing, and report so."""
    _report_once("mlflow.delete_run() deletes nothing here; ExperimentCollection.delete() does")


def trace(function: Any = None, *_: Any, **__: Any) -> Any:
    """The function as it is, which is reported: nothing is traced."""
    _report_once(f"mlflow.trace() records nothing here; {_VALUES}")
    return function if callable(function) else lambda found: found
