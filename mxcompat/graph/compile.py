"""The compile policy: run a graph eagerly, compile it when that has paid, keep the faster.

``MXCOMPAT_COMPILE`` is ``auto`` (default), ``always`` (compile at the first call) or ``never``; ``using`` sets it for
the executors bound inside a ``with``. Under ``auto`` every call is timed. Once the eager calls of one graph have cost
``PATIENCE`` times what compiling it is expected to cost, it is compiled, a few calls the user makes are timed, and the
faster of the two runs from then on. No call is made for timing alone.

Why so patient: compiling after k times its own cost makes ``auto`` at most 1 + 1/k times as long as ``never`` (k = 4: 1.25).
Just then it has taken (k + 1) / (1 + k r) times as long as ``always``, where a compiled step takes r of an eager one: 1.25
for r = 0.75, and less from there on. Eager graphs are fused and recorded: on the CPU r was 0.9 for training ResNet-20,
about 1 for the MLP and ResNet-50, and above 1 for LeNet and LSTMs. ``python -m tests.benchmarks.policy`` measures both.

Recurrent layers are one kernel each on the CPU. The compiler takes them apart, step by step, which took it 53 s for two
layers of 20 steps and made them slower, so ``auto`` leaves graphs with the operator RNN eager there.

Each executor decides for itself: an executor for a rare last batch, or for a bucket, counts its own calls only, and is
not compiled before it has cost that much. Executors of equal graphs share compiled kernels by the compiler's cache on disk.

``MXCOMPAT_LOG=compile`` prints each decision and its reasons on stderr: what the policy makes of a graph, when it compiles
and how long that took, both times and what is kept, and why a training call could not be recorded. They go to the logger
``mxcompat.compile`` in any case: a compilation and its outcome at level INFO, the rest at DEBUG.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import fx

from mxcompat.base import MXNetError, env_choice

logger = logging.getLogger("mxcompat.compile")

POLICIES = ("auto", "always", "never")
LOGS = ("", "compile")
TRIAL_CALLS = 5
#: how many times its expected compile time a graph runs eagerly before it is compiled
PATIENCE = 4
_override = threading.local()
_process_pid = os.getpid()
_backend_failed = False


def log_decisions() -> None:
    """Print decisions on stderr if ``MXCOMPAT_LOG`` is ``compile``."""
    if env_choice("MXCOMPAT_LOG", LOGS, "") == "compile" and not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("[%(name)s] %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False


log_decisions()


def median(values: Sequence[float]) -> float:
    """The middle value, of an even number the upper one (the module statistics takes milliseconds to import)."""
    return sorted(values)[len(values) // 2]


def policy() -> str:
    """The policy for a graph bound now."""
    return getattr(_override, "value", None) or env_choice("MXCOMPAT_COMPILE", POLICIES, "auto")


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """Executors bound inside follow this policy instead of ``MXCOMPAT_COMPILE``."""
    if name not in POLICIES:
        raise ValueError(f"compile policy {name!r} is not one of {', '.join(POLICIES)}")
    outer = getattr(_override, "value", None)
    _override.value = name
    try:
        yield
    finally:
        _override.value = outer


def expected_compile_seconds(operators: int) -> float:
    """What compiling a graph of so many operators costs, roughly (measured cold: 5 to 70 s)."""
    return 4.0 + 0.15 * operators


class Runner:
    """Runs one lowered graph: ``eager``, or what the compiler makes of ``module`` (both compute the same)."""

    def __init__(
        self, module: fx.GraphModule, eager: Callable, operators: int, traceable: bool, policy_name: str,
        is_best_eager: bool = False,
    ):  # fmt: skip
        self.module, self.eager, self.policy = module, eager, policy_name
        if not traceable or (is_best_eager and policy_name == "auto"):
            self.policy = "never"
        self.is_traceable = traceable
        self._budget = PATIENCE * expected_compile_seconds(operators)
        self._compiled: Callable | None = None
        self._eager_times: list[float] = []
        self._compiled_times: list[float] = []
        self._spent = 0.0
        self._settled = self.policy == "never"
        self._use_compiled = self.policy == "always"
        self._lock = threading.Lock()
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("graph of %d operators: %s", operators, self._plan(traceable, policy_name))

    def _plan(self, traceable: bool, policy_name: str) -> str:
        if self.policy == "always":
            return "compiled at its first call (MXCOMPAT_COMPILE=always)"
        if self.policy == "auto":
            return f"eager; compiled once its calls have taken {self._budget:.0f} s"
        if policy_name == "never":
            return "eager (MXCOMPAT_COMPILE=never)"
        if traceable:
            return "eager: the compiler would take apart recurrent layers that are one kernel each"
        return "eager: it mirrors, is sparse, or has an operator that cannot be compiled"

    @property
    def is_compiled(self) -> bool:
        """Whether calls go through the compiler's output now."""
        return self._use_compiled and self._compiled is not None

    @property
    def is_eager(self) -> bool:
        """Whether calls do not go through the compiler now."""
        return not self._use_compiled or _must_stay_eager()

    def __call__(self, tensors: Sequence[torch.Tensor]) -> Any:
        if self._use_compiled and not _must_stay_eager():
            return self._call_compiled(tensors)
        return self.eager(*tensors)

    def _call_compiled(self, tensors: Sequence[torch.Tensor]) -> Any:
        with self._lock:
            first = self._compiled is None
            if self._compiled is None:
                self._compiled = _compile(self.module)
        start = time.perf_counter()
        try:
            with _no_donation():
                result = self._compiled(*tensors)
            if first:
                logger.info("the first compiled call took %.1f s, most of it the compiler", time.perf_counter() - start)
            return result
        except MXNetError:
            raise
        except Exception as error:
            if not _is_backend_failure(error):
                raise
            _note_backend_failure(error)
            return self.eager(*tensors)

    def record(self, seconds: float) -> None:
        """Note what one whole call (forward, and backward where there was one) took, and decide."""
        if self._settled or self.policy != "auto" or _must_stay_eager():
            return
        if not self._use_compiled:
            self._spent += seconds
            self._eager_times.append(seconds)
            del self._eager_times[:-50]
            if self._spent >= self._budget and len(self._eager_times) >= TRIAL_CALLS:
                logger.info(
                    "compiling a graph after %.1f s of eager calls (%.2f ms each); this call waits for the compiler",
                    self._spent,
                    1e3 * median(self._eager_times),
                )
                self._use_compiled = True
            return
        self._compiled_times.append(seconds)
        if len(self._compiled_times) > TRIAL_CALLS:  # the first of them compiled
            eager, compiled = median(self._eager_times), median(self._compiled_times[1:])
            self._use_compiled = compiled < eager
            self._settled = True
            logger.info(
                "compiled %.2f ms, eager %.2f ms a call: keeping the %s graph",
                1e3 * compiled,
                1e3 * eager,
                "compiled" if self._use_compiled else "eager",
            )


def _compile(module: fx.GraphModule) -> Callable:
    """Static shapes, no graph breaks, and the generator's own stream so that dropout equals the eager graph's."""
    return torch.compile(module, fullgraph=True, dynamic=False, options={"fallback_random": True})


def _no_donation() -> Any:
    """Training graphs keep their saved tensors: MXNet allows several backwards after one forward."""
    import torch._functorch.config as functorch_config

    return functorch_config.patch(donated_buffer=False)


def _must_stay_eager() -> bool:
    """In a forked child the compiler's threads are gone, and after a backend failure there is no compiler."""
    return _backend_failed or os.getpid() != _process_pid


#: classes of errors (by name) of the compiler, and of kernels in its cache that a killed process left unfinished
_BACKEND_FAILURES = frozenset(
    "BackendCompilerFailed InvalidCxxCompiler CppCompileError InductorError CalledProcessError OSError ImportError".split()
)


def _is_backend_failure(error: Exception) -> bool:
    """Whether the machine's compiler failed (as opposed to the graph's own computation)."""
    names = {type(e).__name__ for e in (error, error.__cause__, error.__context__) if e is not None}
    return not names.isdisjoint(_BACKEND_FAILURES)


def _note_backend_failure(error: Exception) -> None:
    global _backend_failed
    _backend_failed = True
    logger.warning("the compiler failed (%s); graphs stay eager in this process", str(error).strip().split("\n")[0])
