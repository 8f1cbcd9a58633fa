"""MLflow's store in any database that SQLAlchemy reads, such as PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._lazy import lazy_module

from .contract import Source

if TYPE_CHECKING:
    import sqlalchemy
else:
    sqlalchemy = lazy_module("sqlalchemy", install="sqlalchemy")

__all__ = ["opened", "source_of"]

#: Rows have no numbers there: metrics are read in the order of their times.
_ORDER: Final = {"metrics": ("timestamp", "step", "run_uuid", "key"), "runs": ("start_time",)}
_BATCH: Final = 1000


def source_of(url: str) -> Source:
    """The source of a URL, whose path has no password in it."""
    shown = sqlalchemy.make_url(url).render_as_string(hide_password=True)
    name = sqlalchemy.make_url(url).database or "mlflow"
    return Source(Path(shown), (), Path(name).name, {"url": url}, is_ordered=False)


@contextmanager
def opened(url: str) -> Iterator[Callable[..., Iterator[tuple[Any, ...]]]]:
    """A function that gives rows of a table, all of one state of the database where it can."""
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=_BATCH)

            def table(name: str, columns: tuple[str, ...], **_: Any) -> Iterator[tuple[Any, ...]]:
                # No condition: what is known is skipped by its values.
                known = {each["name"] for each in sqlalchemy.inspect(engine).get_columns(name)}
                own: list[Any] = [sqlalchemy.column(each) for each in columns if each in known]
                order: list[Any] = [sqlalchemy.column(each) for each in _ORDER.get(name, ())]
                query = sqlalchemy.select(*own).select_from(sqlalchemy.table(name))
                places = [each if each in known else None for each in columns]
                for row in streaming.execute(query.order_by(*order)).mappings():
                    yield tuple(None if each is None else row[each] for each in places)

            yield table
    finally:
        engine.dispose()
