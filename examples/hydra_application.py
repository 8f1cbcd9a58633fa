"""An application of Hydra whose jobs are runs. Needs ``pip install hydra-core``.

- one job: ``python examples/hydra_application.py lr=0.5``
- a sweep, with its jobs as children of one run: ``python examples/hydra_application.py -m lr=0.1,0.5``

The callback can stand in a config file as well, as docs/integrations.md shows it.
"""

from __future__ import annotations

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from rigorous_recorder.integrations.hydra import recorder

CALLBACK = {
    "_target_": "rigorous_recorder.integrations.hydra.RigorousCallback",
    "place": "data/hydra",
}
CONFIG = {"lr": 0.1, "steps": 5, "hydra": {"callbacks": {"rigorous": CALLBACK}}}
ConfigStore.instance().store("application", CONFIG)


@hydra.main(config_path=None, config_name="application", version_base=None)
def main(config: DictConfig) -> None:
    """Gradient descent on x^2."""
    x = 1.0
    for step in range(config.steps):
        x -= config.lr * 2 * x
        recorder().push(step=step, loss=x**2)


main()
