"""The log-likelihood of marked Hawkes processes."""

import numpy as np
import torch

from mxcompat.base import MXNetError
from mxcompat.ops.dtypes import floating, unify
from mxcompat.ops.registry import register
from mxcompat.ops.schema import Params
from mxcompat.ops.shape import forward_rule

_OBSERVED = ("lags", "marks", "valid_length", "max_time")


def _decays(beta, state, lags, marks, valid):
    """See ``hawkes_memory``; everything in numpy."""
    count, length = lags.shape
    memory, slope, last = state.copy(), np.zeros_like(state), np.zeros_like(state)
    time, rows = np.zeros(count, lags.dtype), np.arange(count)
    found = np.zeros((3, count, length), lags.dtype)
    for j in range(length):
        active = j < valid
        mark = np.where(active, marks[:, j], 0)
        time = time + np.where(active, lags[:, j], 0)
        before, before_slope = memory[rows, mark], slope[rows, mark]
        gap = time - last[rows, mark]
        decay = np.exp(-beta[mark] * gap)
        found[:, :, j] = np.where(active, (before, before_slope, gap), 0)
        memory[rows, mark] = np.where(active, 1 + before * decay, before)
        slope[rows, mark] = np.where(active, decay * (before_slope - gap * before), before_slope)
        last[rows, mark] = np.where(active, time, last[rows, mark])
    return found, np.stack((memory, slope, last))


@torch.library.custom_op("mxcompat::hawkes_memory", mutates_args=())
def hawkes_memory(
    beta: torch.Tensor, state: torch.Tensor, lags: torch.Tensor, marks: torch.Tensor, valid: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the processes remember at each point (3, N, T) and behind the last one (3, N, K).

    The first axis: the memory of the point's mark since its previous point, its derivative by beta, and the time since
    then (behind the last point: when that was). Points behind ``valid`` are 0.
    """
    arrays = [t.detach().cpu().numpy() for t in (beta, state, lags, marks, valid)]
    return tuple(torch.from_numpy(found).to(lags.device) for found in _decays(*arrays))


@hawkes_memory.register_fake
def _hawkes_memory_shape(beta, state, lags, marks, valid):
    return lags.new_empty((3, *lags.shape)), state.new_empty((3, *state.shape))


def _hawkes_shape(params: Params, lda: tuple, alpha: tuple, beta: tuple, state: tuple, *observed: tuple) -> list:
    lags = observed[0]
    if len(lags) != 2 or len(lda) != 2 or lda[0] != lags[0]:
        raise MXNetError(f"lda has shape {lda}, lags {lags}: expected (N, K) and (N, T)")
    count, kinds = lda
    expected = ((kinds,), (kinds,), lda, lags, lags, (count,), (count,))
    for name, shape, want in zip(("alpha", "beta", "state", *_OBSERVED), (alpha, beta, state, *observed), expected):
        if shape != want:
            raise MXNetError(f"{name} has shape {shape}, expected {want}")
    return [(count,), lda]


def _hawkes_type(params: Params, ins: list, outs: list) -> tuple[list, list]:
    unify([torch.int32, ins[5]], "input (marks)")
    dtype = unify([*ins[:5], *ins[6:], *outs])
    ins, outs = floating()(params, [dtype], [dtype, dtype])
    return [*ins * 5, torch.int32, *ins * 2], outs


def _check_marks(params: Params, lda, alpha, beta, state, lags, marks, *rest) -> None:
    if bool(((marks < 0) | (marks >= lda.shape[1])).any()):
        raise MXNetError(f"marks: expected numbers in [0, {lda.shape[1]})")


@register(
    "_contrib_hawkesll",
    infer_shape=forward_rule(_hawkes_shape),
    infer_type=_hawkes_type,
    outputs=2,
    output_names=("output", "out_state"),
    no_gradient=_OBSERVED,
    check=_check_marks,
)
def hawkesll(lda, alpha, beta, state, lags, marks, valid_length, max_time):
    """Log-likelihoods of points under Hawkes processes, each mark a process of its own.

    The intensity of mark k is lda[k] + alpha[k] * beta[k] * memory[k], and the memory the sum of exp(-beta[k] * age) over
    earlier points of that mark. lda (N, K), alpha (K,), beta (K,), state (N, K): the memory at time 0, lags (N, T): times
    between points, marks (N, T), int32, valid_length (N,): how many points count, max_time (N,): how long was observed
    -> log-likelihoods (N,), and the memory (N, K) at max_time. Gradients: of the first output, for lda, alpha and beta;
    the state gets none, and for the observations none can be asked.
    """
    lags, max_time, fixed = lags.detach(), max_time.detach(), beta.detach()
    marks = marks.to(torch.int64).clamp(0, lda.shape[1] - 1)
    # exp(-beta * age) is linear in a small change of beta: value and gradient of the memory without its recurrence
    points, final = hawkes_memory(fixed, state.detach(), lags, marks, valid_length.detach())
    counts = torch.arange(lags.shape[1], device=lags.device) < valid_length.detach()[:, None]
    moved = beta - fixed
    own = beta[marks]
    memory, gap = points[0] + points[1] * moved[marks], points[2]
    decay = torch.exp(-own * gap)
    base, branching = lda.gather(1, marks), alpha[marks]
    intensity = torch.where(counts, base + branching * own * memory * decay, 1)
    passed = base * gap + branching * memory * (1 - decay)
    rest = max_time[:, None] - final[2]
    memory, decay = final[0] + final[1] * moved, torch.exp(-beta * rest)
    ahead = lda * rest + alpha * memory * (1 - decay)
    likelihood = (torch.log(intensity) - torch.where(counts, passed, 0)).sum(1) - ahead.sum(1)
    return likelihood, (decay * memory).detach()
