"""Histograms and precision-recall curves as TensorBoard's writers make them, of numpy."""

from __future__ import annotations

from typing import Any

from rigorous_recorder._lazy_imports import np

from .media import array_of

__all__ = ["edges", "histogram", "pr_curve"]

#: The least positive edge of a histogram's buckets, and how they grow.
_LEAST, _GROWTH, _MOST = 1e-12, 1.1, 1e20


def histogram(values: Any, bins: Any, most: int | None = None) -> dict[str, Any]:
    """The histogram of finite and infinite values, with the fields of TensorBoard's.

    Args:
        values: an array of any shape.
        bins: "tensorflow" for exponential buckets, a number of buckets, their edges, or a name of
            ``numpy.histogram_bin_edges``.
        most: about how many buckets there are at most: neighbours are merged.
    """
    values = array_of(values).astype(np.float64).reshape(-1)
    bins = edges() if isinstance(bins, str) and bins == "tensorflow" else bins
    counts, limits = np.histogram(values, bins=bins)
    if most is not None and len(counts) > most:
        merged = len(counts) // most
        counts = np.add.reduceat(counts, np.arange(0, len(counts), merged))
        limits = np.append(limits[:-1:merged], limits[-1])
    found = np.flatnonzero(counts)
    if not len(found):
        message = "a histogram needs at least one value within its buckets"
        raise ValueError(message)
    start, end = found[0], found[-1] + 1
    return {
        **_moments(values),
        "bucket_limit": limits[start : end + 1].tolist(),  # the first bucket is empty
        "bucket": [0.0, *counts[start:end].astype(float).tolist()],
    }


def _moments(values: Any) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "num": float(len(values)),
        "sum": float(values.sum()),
        "sum_squares": float(values.dot(values)),
    }


def edges() -> Any:
    """The exponential edges of TensorBoard's buckets."""
    found, edge = [], _LEAST
    while edge < _MOST:
        found.append(edge)
        edge *= _GROWTH
    return np.array([*(-each for each in reversed(found)), 0.0, *found])


def pr_curve(labels: Any, predictions: Any, thresholds: int, weights: Any) -> Any:
    """True and false positives, true and false negatives, precision and recall by threshold."""
    labels, predictions = array_of(labels).reshape(-1), array_of(predictions).reshape(-1)
    weights = 1.0 if weights is None else array_of(weights).astype(np.float64).reshape(-1)
    places = np.int32(np.floor(predictions * (thresholds - 1)))
    ranges = {"bins": thresholds, "range": (0, thresholds - 1)}
    positive, negative = (
        np.cumsum(np.histogram(places, weights=each * weights, **ranges)[0][::-1])[::-1]
        for each in (labels.astype(np.float64), 1.0 - labels.astype(np.float64))
    )
    misses, rejected = positive[0] - positive, negative[0] - negative
    tiny = 1e-7
    precision = positive / np.maximum(tiny, positive + negative)
    recall = positive / np.maximum(tiny, positive + misses)
    return np.stack((positive, negative, rejected, misses, precision, recall))
