"""Faults that are really made: kills, outages, full disks, damage.

With ``FAULTS=thorough`` in the environment the slow ones are tried as often as docs/reliability.md
says, which takes an hour; without it, for some minutes.
"""

import os

THOROUGH = os.environ.get("FAULTS") == "thorough"
