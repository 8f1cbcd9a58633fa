"""Charts of a table, as ``wandb.plot`` makes them: the table is logged, with the chart's kind and title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rigorous_recorder._lazy_imports import np
from rigorous_recorder.integrations.media import array_of

from .media import Table

__all__ = [
    "Chart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "pr_curve",
    "roc_curve",
    "scatter",
]


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


def line_series(
    xs: Sequence[Any],
    ys: Sequence[Sequence[Any]],
    keys: Sequence[str] | None = None,
    title: str | None = None,
    xname: str = "x",
    **_: Any,
) -> Chart:
    """Several lines: a row for each point, with ``x``, ``y`` and the name of its ``line``."""
    is_shared = not xs or not isinstance(xs[0], list | tuple)
    all_xs: Any = [xs] * len(ys) if is_shared else xs
    names = keys or [f"line {number}" for number in range(len(ys))]
    rows = [
        [x, y, name]
        for name, each_xs, each_ys in zip(names, all_xs, ys, strict=True)
        for x, y in zip(each_xs, each_ys, strict=False)
    ]
    return Chart(Table([xname, "y", "line"], rows), "line_series", title)


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Any = None,
    title: str | None = None,
    **_: Any,
) -> Chart:
    """How often each class was taken for each: rows with ``actual``, ``predicted`` and ``count``.

    Args:
        probs: an array (examples, classes), instead of ``preds``.
        y_true, preds: a number of a class for each example.
    """
    truth = array_of(y_true)
    found = array_of(probs).argmax(axis=1) if preds is None else array_of(preds)
    count = int(max(truth.max(), found.max())) + 1
    names = list(class_names) if class_names is not None else [str(n) for n in range(count)]
    cells = np.zeros((len(names), len(names)), int)
    np.add.at(cells, (truth, found), 1)
    rows = [
        [actual, predicted, int(cells[i, j])]
        for i, actual in enumerate(names)
        for j, predicted in enumerate(names)
    ]
    return Chart(Table(["actual", "predicted", "count"], rows), "confusion_matrix", title)


def roc_curve(
    y_true: Any, y_probas: Any = None, labels: Any = None, title: str | None = None, **_: Any
) -> Chart:
    """Rows with ``class``, ``fpr`` and ``tpr``, one for each distinct probability.

    Args:
        y_true: the number of the class of each example.
        y_probas: an array (examples, classes).
        labels: names of the classes.
    """
    return _by_class(y_true, y_probas, labels, ["fpr", "tpr"], "roc_curve", title)


def pr_curve(
    y_true: Any, y_probas: Any = None, labels: Any = None, title: str | None = None, **_: Any
) -> Chart:
    """Rows with ``class``, ``recall`` and ``precision``, one for each distinct probability."""
    return _by_class(y_true, y_probas, labels, ["recall", "precision"], "pr_curve", title)


def _by_class(
    y_true: Any, y_probas: Any, labels: Any, columns: list[str], kind: str, title: str | None
) -> Chart:
    truth, probabilities = array_of(y_true), array_of(y_probas)
    names = labels if labels is not None else [str(n) for n in range(probabilities.shape[1])]
    rows = []
    for number, name in enumerate(names):
        is_class = truth == number
        order = np.argsort(-probabilities[:, number], kind="stable")
        chosen = probabilities[order, number]
        is_last = np.append(np.diff(chosen) != 0, True)  # of examples with one probability
        right = np.cumsum(is_class[order])[is_last]
        wrong = np.cumsum(~is_class[order])[is_last]
        recall = right / max(int(is_class.sum()), 1)
        other = (
            wrong / max(int((~is_class).sum()), 1)
            if kind == "roc_curve"
            else right / (right + wrong)
        )
        pairs = (other, recall) if kind == "roc_curve" else (recall, other)
        rows += [[name, *point] for point in zip(*(each.tolist() for each in pairs), strict=True)]
    return Chart(Table(["class", *columns], rows), kind, title)
