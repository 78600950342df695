"""Cases of the tools around training, run by real MXNet to record and by mxcompat to compare (Python 3.8)."""

from __future__ import annotations

import os

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "tools.json")
