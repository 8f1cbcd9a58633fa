"""Three agents learn their way through a grid world, and every timestep of it is logged.

    python examples/gridworld.py [FOLDER]

The tree is experiment > episode > timestep. An episode's total reward is set when the episode is
over, and is in every timestep's row of the flat table all the same.

The agents learn by tabular Q-learning: the shortest way from the start to the goal, around the walls.
The rule is that of Watkins, *Learning from Delayed Rewards* (1989), also Sutton & Barto, *Reinforcement Learning*,
section 6.5: after action ``a`` in state ``s`` led to reward ``r`` and state ``s'``,

    Q(s, a) += learning_rate * (r + discount * max Q(s', .) - Q(s, a))
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rigorous_recorder import ExperimentCollection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rigorous_recorder import Recorder

LEARNING_RATES = (0.5, 0.7, 0.9)
EPISODES = 10
QUERY = """
SELECT episode,
       avg(reward) AS mean_reward,
       sum(reward) / count(DISTINCT experiment_number) AS mean_total_reward,
       count(*) AS timesteps
FROM records
WHERE NOT had_error
GROUP BY episode
ORDER BY episode
"""

ACTIONS = ("up", "down", "left", "right")
GOAL_REWARD = 50.0
STEP_REWARD = -1.0
MAX_TIMESTEPS = 200

_MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_MAP = """
S..#....
.#.#.##.
.#......
...##.#.
.#....#G
"""


def main(folder: str) -> None:
    """Train an agent in each of three new experiments at ``folder``, and print what came of them."""
    with ExperimentCollection(folder) as collection:
        for seed, learning_rate in enumerate(LEARNING_RATES, 1):
            with collection.new_experiment(learning_rate=learning_rate, seed=seed) as experiment:
                train(experiment)
        print(collection.tree(children=3))
        collection.sql(QUERY).show()


def train(experiment: Recorder) -> None:
    """Log the episodes of a learner with the learning rate and the seed of the experiment."""
    world = GridWorld()
    learner = QLearner(world.states, experiment["learning_rate"], experiment["seed"])
    for number in range(1, EPISODES + 1):
        epsilon = decayed_epsilon(number)
        episode = experiment.child(episode=number, epsilon=epsilon)
        total_reward = 0.0
        for timestep in run_episode(world, learner, epsilon):
            episode.push(timestep)
            total_reward += timestep.reward
        episode["total_reward"] = total_reward


class GridWorld:
    """A grid with walls (``#``), a start (``S``) and a goal (``G``); a state is a cell's number."""

    def __init__(self, text: str = _MAP) -> None:
        self._rows = text.split()
        self._columns = len(self._rows[0])
        cells = "".join(self._rows)
        self.states = len(cells)
        self.start = cells.index("S")
        self.goal = cells.index("G")

    def step(self, state: int, action: str) -> tuple[int, float, bool]:
        """The next state, the reward, and whether the goal was reached."""
        next_state = self._move(state, action)
        terminated = next_state == self.goal
        return next_state, GOAL_REWARD if terminated else STEP_REWARD, terminated

    def _move(self, state: int, action: str) -> int:
        down, right = _MOVES[action]
        row, column = state // self._columns + down, state % self._columns + right
        inside = 0 <= row < len(self._rows) and 0 <= column < self._columns
        return row * self._columns + column if inside and self._rows[row][column] != "#" else state


@dataclass
class QLearner:
    """A table of action values, and the epsilon-greedy choice made from it."""

    states: int
    learning_rate: float
    seed: int
    discount: float = 0.95
    values: list[dict[str, float]] = field(init=False)

    def __post_init__(self) -> None:
        # zero is optimistic where each step costs: what was not tried yet looks best
        self.values = [dict.fromkeys(ACTIONS, 0.0) for _ in range(self.states)]
        self._random = random.Random(self.seed)  # noqa: S311 - chooses actions, guards no secret

    def choose(self, state: int, epsilon: float) -> str:
        """A random action with probability ``epsilon``, else one of the best, ties at random."""
        values = self.values[state]
        best = max(values.values())
        explores = self._random.random() < epsilon
        return self._random.choice([a for a in ACTIONS if explores or values[a] == best])

    def update(self, state: int, action: str, reward: float, next_state: int | None) -> float:
        """Learn from one step (``next_state`` None: the episode is over); gives the TD error."""
        future = 0.0 if next_state is None else max(self.values[next_state].values())
        td_error = reward + self.discount * future - self.values[state][action]
        self.values[state][action] += self.learning_rate * td_error
        return td_error


class Timestep(NamedTuple):
    """What one timestep of an episode is logged with."""

    timestep: int
    state: int
    action: str
    reward: float
    td_error: float


def decayed_epsilon(episode: int, *, first: float = 0.3, decay: float = 0.7) -> float:
    """The share of random actions in episode 1, 2, 3, ...: less in each than in the one before."""
    return first * decay ** (episode - 1)


def run_episode(world: GridWorld, learner: QLearner, epsilon: float) -> Iterator[Timestep]:
    """Walk and learn from the start to the goal, or for 200 timesteps; yields each of them."""
    state = world.start
    for timestep in range(1, MAX_TIMESTEPS + 1):
        action = learner.choose(state, epsilon)
        next_state, reward, terminated = world.step(state, action)
        td_error = learner.update(state, action, reward, None if terminated else next_state)
        yield Timestep(timestep, state, action, reward, td_error)
        if terminated:
            return
        state = next_state


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "data/gridworld")
