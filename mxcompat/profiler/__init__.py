"""Profiling: a trace file for chrome://tracing, and statistics by operator (public path: ``mxnet.profiler``).

While the profiler runs, bound symbols run node by node instead of as fused or compiled graphs, so that every operator
has a time; the times are those of plain operators. ``MXNET_PROFILER_AUTOSTART=1`` starts it when mxcompat is imported
(with ``MXNET_PROFILER_MODE=1`` imperative operators are timed, too) and leaves ``profile.json`` at the end.
"""

from mxcompat.profiler.control import (
    dump,
    dump_profile,
    dumps,
    pause,
    profiler_set_config,
    profiler_set_state,
    resume,
    set_config,
    set_kvstore_handle,
    set_state,
)
from mxcompat.profiler.objects import Counter, Domain, Event, Frame, Marker, Task

__all__ = ["Counter", "Domain", "Event", "Frame", "Marker", "Task", "dump", "dump_profile", "dumps", "pause"]
__all__ += ["profiler_set_config", "profiler_set_state", "resume", "set_config", "set_kvstore_handle", "set_state"]
