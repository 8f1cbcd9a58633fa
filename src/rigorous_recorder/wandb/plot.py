"""Charts of a table, as ``wandb.plot`` makes them: the table is logged, with the chart's kind and title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rigorous_recorder._lazy_imports import np
from rigorous_recorder.integrations.media import array_of

from .advice import found_on_use
from .media import Table

__all__ = [
    "Chart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
]

#: Names that it has not are looked for as modules below it, which gives advice.
__path__: list[str] = []
__getattr__ = found_on_use(__name__)


class Chart(Table):
    """A table and how it is meant to be drawn."""

    def __init__(self, table: Table, kind: str, title: str | None, **axes: Any) -> None:
        super().__init__(table.columns, table.data)
        self.chart = {"chart": kind, "title": title, **axes}


def line(
    table: Table, x: str, y: str, stroke: Any = None, title: str | None = None, **_: Any
) -> Chart:
    """A line through the rows."""
    return Chart(table, "line", title, x=x, y=y, stroke=stroke)


def scatter(table: Table, x: str, y: str, title: str | None = None, **_: Any) -> Chart:
    """A dot for each row."""
    return Chart(table, "scatter", title, x=x, y=y)


def bar(table: Table, label: str, value: str, title: str | None = None, **_: Any) -> Chart:
    """A bar for each row."""
    return Chart(table, "bar", title, label=label, value=value)


def histogram(table: Table, value: str, title: str | None = None, **_: Any) -> Chart:
    """The distribution of a column."""
    return Chart(table, "histogram", title, value=value)


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, Any],
    string_fields: Mapping[str, Any] | None = None,
    split_table: bool = False,
) -> Chart:
    """A table with the name of a chart of W&B's, and what its fields stand for."""
    about = {"fields": dict(fields), "string_fields": dict(string_fields or {})}
    return Chart(data_table, vega_spec_name, (string_fields or {}).get("title"), **about)


def line_series(
    xs: Sequence[Any],
    ys: Sequence[Sequence[Any]],
    keys: Sequence[str] | None = None,
    title: str | None = None,
    xname: str = "x",
    **_: Any,
) -> Chart:
    """Several lines: a row for each point, with its x, ``lineKey`` and ``lineVal``."""
    xs, ys = _lists(xs), _lists(ys)
    all_xs: Any = xs if xs and isinstance(xs[0], list) else [xs] * len(ys)
    names = list(keys) if keys is not None else [f"line_{number}" for number in range(len(ys))]
    rows = [
        [x, name, y]
        for name, each_xs, each_ys in zip(names, all_xs, ys, strict=True)
        for x, y in zip(each_xs, each_ys, strict=False)
    ]
    return Chart(Table([xname, "lineKey", "lineVal"], rows), "line_series", title)


def _lists(values: Any) -> list[Any]:
    """Values of one axis, or of several lines, as lists of Python's numbers."""
    if hasattr(values, "__array__"):
        return list(array_of(values).tolist())
    return [
        _lists(each) if hasattr(each, "__len__") and type(each) is not str else each
        for each in values
    ]


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Any = None,
    title: str | None = None,
    **_: Any,
) -> Chart:
    """How often each class was taken for each: ``Actual``, ``Predicted``, ``nPredictions``.

    Args:
        probs: an array (examples, classes), instead of ``preds``.
        y_true, preds: a number of a class for each example.
    """
    truth = array_of(y_true)
    found = array_of(probs).argmax(axis=1) if preds is None else array_of(preds)
    count = int(max(truth.max(), found.max())) + 1
    known = list(class_names) if class_names is not None else []
    names = [*known, *(f"Class_{n + 1}" for n in range(len(known), count))]
    cells = np.zeros((len(names), len(names)), int)
    np.add.at(cells, (truth, found), 1)
    rows = [
        [actual, predicted, int(cells[i, j])]
        for i, actual in enumerate(names)
        for j, predicted in enumerate(names)
    ]
    return Chart(Table(["Actual", "Predicted", "nPredictions"], rows), "confusion_matrix", title)


def roc_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Any = None,
    classes_to_plot: Any = None,
    title: str | None = None,
    **_: Any,
) -> Chart:
    """Rows with ``class``, ``fpr`` and ``tpr``, one for each distinct probability.

    Args:
        y_true: the number of the class of each example.
        y_probas: an array (examples, classes).
        labels: names of the classes.
        classes_to_plot: the numbers of those that are wanted; all by default.
    """
    found = _by_class(y_true, y_probas, labels, classes_to_plot, is_roc=True)
    return Chart(Table(["class", "fpr", "tpr"], found), "roc_curve", title)


def pr_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Any = None,
    classes_to_plot: Any = None,
    title: str | None = None,
    **_: Any,
) -> Chart:
    """Rows with ``class``, ``precision`` and ``recall``, one for each distinct probability."""
    found = _by_class(y_true, y_probas, labels, classes_to_plot, is_roc=False)
    return Chart(Table(["class", "precision", "recall"], found), "pr_curve", title)


def _by_class(
    y_true: Any, y_probas: Any, labels: Any, wanted: Any, *, is_roc: bool
) -> list[list[Any]]:
    truth, probabilities = array_of(y_true), array_of(y_probas)
    numbers = range(probabilities.shape[1]) if wanted is None else wanted
    rows = []
    for number in numbers:
        name = labels[number] if labels is not None else str(number)
        points = _curve(truth == number, probabilities[:, number], is_roc=is_roc)
        rows += [[name, *point] for point in points]
    return rows


def _curve(is_class: Any, probabilities: Any, *, is_roc: bool) -> list[tuple[float, float]]:
    """The points of a curve of one class, from the highest probability down."""
    order = np.argsort(-probabilities, kind="stable")
    is_last = np.append(
        np.diff(probabilities[order]) != 0, True
    )  # of examples with one probability
    right = np.cumsum(is_class[order])[is_last]
    wrong = np.cumsum(~is_class[order])[is_last]
    recall = right / max(int(is_class.sum()), 1)
    other = wrong / max(int((~is_class).sum()), 1) if is_roc else right / (right + wrong)
    return list(zip(other.tolist(), recall.tolist(), strict=True))
