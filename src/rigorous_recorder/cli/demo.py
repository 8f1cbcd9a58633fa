"""What `rigorous demo` does: log a study by a real algorithm, then show what came of it.

The study is tabular Q-learning on a grid world: 3 experiments > 10 episodes > every timestep.
Whoever wants to see how a study is logged reads `log_experiment` and `log_episode`.
"""

from __future__ import annotations

from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._printable import one_line

from .gridworld import GridWorld, QLearner, decayed_epsilon, run_episode

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from rigorous_recorder import Recorder

__all__ = ["EXAMPLES", "MEAN_REWARD_SQL", "demo", "run_demo"]

EXAMPLES = "Examples: `rigorous demo`, `rigorous demo data/my_demo`"

LEARNING_RATES = (0.5, 0.7, 0.9)
EPISODES = 10
CHART_HEIGHT = 15

MEAN_REWARD_SQL = """\
SELECT episode,
       avg(reward) AS mean_reward,
       sum(reward) / count(DISTINCT experiment_number) AS mean_total_reward,
       count(*) AS timesteps
FROM records
WHERE NOT had_error
GROUP BY episode
ORDER BY episode"""

_EPISODES_SQL = """\
SELECT experiment_number, learning_rate, episode, count(*) AS timesteps, total_reward
FROM records
WHERE NOT had_error
GROUP BY experiment_number, learning_rate, episode, total_reward
ORDER BY experiment_number, episode"""


def demo(
    folder: Annotated[
        Path,
        typer.Argument(help="Where to log to; '.collection' is added to its name."),
    ] = Path("data/demo"),
) -> None:
    """Log a small study for real, and show its tree, its size on disk and a query.

    An agent learns its way through a grid world by Q-learning: 3 experiments of 10 episodes, each
    timestep of them a record. Run it again, and 3 more experiments stand in the same folder.
    """
    run_demo(folder, Console())


def run_demo(folder: str | os.PathLike[str], console: Console) -> None:
    """Add 3 experiments to the collection at ``folder``, then print its tree, size and means."""
    with closing(ExperimentCollection(folder, quiet=True)) as collection:
        _print_contents(collection, folder, console)
        numbers = _log_study(collection, console)
    # closed: all of it is Parquet, no file waits for more records, and reading goes on working
    console.print(f"Logged experiments {', '.join(map(str, numbers))}.\n")
    _show(collection, folder, console)


def log_experiment(
    collection: ExperimentCollection, learning_rate: float, on_episode: Callable[[], object]
) -> int:
    """Log 10 episodes of a new learner, seeded by the experiment's number, which is given back."""
    seed = _next_number(collection)
    world = GridWorld()
    learner = QLearner(world.states, learning_rate, seed)
    with collection.new_experiment(learning_rate=learning_rate, seed=seed) as experiment:
        for number in range(1, EPISODES + 1):
            log_episode(experiment, number, world, learner)
            on_episode()
    return int(experiment["experiment_number"])


def _next_number(collection: ExperimentCollection) -> int:
    """What the next experiment's number will be: that of an interrupted one is used again."""
    return 1 + sum(not each["had_error"] for each in collection.experiments)


def log_episode(experiment: Recorder, number: int, world: GridWorld, learner: QLearner) -> None:
    """Log every timestep of one episode, and at its end the total reward, for all of them."""
    epsilon = decayed_epsilon(number)
    episode = experiment.child(episode=number, epsilon=epsilon)
    total_reward = 0.0
    for timestep, state, action, reward, td_error in run_episode(world, learner, epsilon):
        episode.push(
            timestep=timestep, state=state, action=action, reward=reward, td_error=td_error
        )
        total_reward += reward
    episode["total_reward"] = total_reward


def _print_contents(
    collection: ExperimentCollection, folder: str | os.PathLike[str], console: Console
) -> None:
    last = max(collection.experiment_numbers, default=0)
    if last:
        line = f"{one_line(str(_stored_at(folder)))} already has experiments up to {last}; adding to them."
        console.print(line, markup=False, highlight=False)


def _log_study(collection: ExperimentCollection, console: Console) -> list[int]:
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Episodes", total=len(LEARNING_RATES) * EPISODES)
        return [
            log_experiment(collection, learning_rate, lambda: progress.advance(task))
            for learning_rate in LEARNING_RATES
        ]


def _show(
    collection: ExperimentCollection, folder: str | os.PathLike[str], console: Console
) -> None:
    answer = collection.sql(MEAN_REWARD_SQL)
    rows = answer.fetchall()
    console.print(_tree(collection, one_line(str(_stored_at(folder)))))
    console.print(_size(_stored_at(folder), len(collection)), highlight=False)
    console.print("\nThe mean reward per episode, across experiments:\n")
    console.print(_as_python(folder), style="dim", markup=False, highlight=False, soft_wrap=True)
    console.print(_table(answer.columns, rows))
    console.print(_chart(rows, console))


def _stored_at(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    return path if path.suffix == ".collection" else path.with_name(f"{path.name}.collection")


class _Episode(NamedTuple):
    experiment_number: int
    learning_rate: float
    episode: int
    timesteps: int
    total_reward: float


def _tree(collection: ExperimentCollection, name: str) -> Tree:
    rows = [_Episode(*row) for row in collection.sql(_EPISODES_SQL).fetchall()]
    groups = groupby(rows, key=lambda row: row.experiment_number)
    experiments = [list(group) for _, group in groups]
    tree = Tree(Text(f"{name}: {len(collection):,} records"))
    _add_shortened(tree, [_experiment_branch(each) for each in experiments], first=1, last=3)
    return tree


def _experiment_branch(episodes: Sequence[_Episode]) -> Tree:
    number, learning_rate, *_ = episodes[0]
    timesteps = sum(each.timesteps for each in episodes)
    branch = Tree(f"experiment {number} (learning_rate {learning_rate}): {timesteps:,} records")
    _add_shortened(branch, [Tree(_episode_label(each)) for each in episodes], first=2, last=1)
    return branch


def _episode_label(row: _Episode) -> str:
    return f"episode {row.episode}: {row.timesteps} records, total_reward {row.total_reward:g}"


def _add_shortened(tree: Tree, branches: list[Tree], *, first: int, last: int) -> None:
    """Add the branches to the tree, of a long list only those at its start and at its end."""
    left_out = len(branches) - first - last
    shown = branches
    if left_out > 1:  # one alone takes no more room than the line that would stand for it
        shown = [*branches[:first], Tree(f"... {left_out} more ..."), *branches[-last:]]
    tree.children.extend(shown)


def _size(folder: Path, records: int) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"On disk: {size:,} bytes for {records:,} records, {size / records:.1f} bytes per record"


def _as_python(folder: str | os.PathLike[str]) -> str:
    return f'ExperimentCollection({str(folder)!r}).sql("""\n{MEAN_REWARD_SQL}\n""")'


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    table = Table(*(Column(name, justify="right", overflow="fold") for name in columns))
    for row in rows:
        table.add_row(
            *(f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row)
        )
    return table


def _chart(rows: Sequence[Sequence[Any]], console: Console) -> Text:
    """The mean total reward (third column) over the episodes (first), as wide as the terminal."""
    import plotext  # noqa: PLC0415 - slow to load, and most commands do without

    episodes, _, total_rewards, _ = zip(*rows, strict=True)
    plotext.terminal.limit(width=False, height=False)  # the console knows its size, plotext guesses
    figure = plotext.figure.clear().plot_size(console.width, CHART_HEIGHT)
    figure.title("mean total reward per episode").ruler("x").ticks(episodes)
    plain = console.options.ascii_only
    figure.axes(active=not plain)
    figure.draw(figure.signal(episodes, total_rewards, marker="*" if plain else None).lines())
    return Text(figure.build().string(colorless=True).rstrip())
