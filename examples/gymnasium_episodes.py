"""Episodes of a vector environment as children of a run. Needs ``pip install gymnasium``.

Run it as ``python examples/gymnasium_episodes.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium as gym

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.gymnasium import RecordVectorEpisodes

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

with ExperimentCollection(FOLDER / "cartpole", quiet=True) as collection:
    with collection.new_experiment(policy="random", capture=True) as run:
        env = RecordVectorEpisodes(gym.make_vec("CartPole-v1", num_envs=4), run, steps=True)
        env.action_space.seed(1)
        env.reset(seed=1)
        for _ in range(200):
            env.step(env.action_space.sample())
        env.close()
    mean = "SELECT env, round(avg(total_reward), 1) FROM level('episode') GROUP BY ALL ORDER BY env"
    print(collection.sql(mean).fetchall())
