"""PPO of Stable-Baselines3. Needs ``pip install stable-baselines3``.

Run it as ``python examples/stable_baselines3_training.py [folder]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stable_baselines3 import PPO

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations.stable_baselines3 import RigorousCallback

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "data")

model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, batch_size=32, seed=0, device="cpu")
model.learn(256, callback=RigorousCallback(FOLDER / "ppo", {"env": "CartPole-v1"}))
with ExperimentCollection.open(FOLDER / "ppo", quiet=True) as collection:
    updates = 'SELECT algorithm, count("train/loss"), max(step) FROM records GROUP BY ALL'
    print(collection.sql(updates).fetchall())
    print(len(collection.level("episode")), "episodes")
