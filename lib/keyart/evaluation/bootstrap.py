"""Bootstrap by member: a replicate counts each member's sums Poisson(1) times (Hanley and MacGibbon 2006).

The number is drawn from a 64-bit hash of (seed, user_key) and the replicate, so that it is the same on every machine,
in any order and partition; replicates are sums over members and add up like moments (Chamandy et al. 2012).
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

__all__ = ["boot_interval", "counts", "replicates"]

# P(Poisson(1) <= k) for k = 0, 1, ..., in units of 2^-32; beyond 12 the rest is below 1e-10.
_STEPS = np.round(np.cumsum(np.exp(-1) / np.cumprod(np.maximum(np.arange(12), 1))) * 2.0**32).astype(np.uint64)


@njit(cache=True, nogil=True)
def counts(codes, replicates):
    """How often each replicate counts each member, (members, replicates): Poisson(1) by splitmix64 (Steele et al. 2014)
    of the member's code and the replicate's number."""
    found = np.zeros((len(codes), replicates), dtype=np.float64)
    for i in range(len(codes)):
        state = codes[i]
        for r in range(0, replicates, 2):
            state += np.uint64(0x9E3779B97F4A7C15)
            z = state
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            for half in range(2):  # 32 bits a draw
                if r + half < replicates:
                    u = z & np.uint64(0xFFFFFFFF) if half == 0 else z >> np.uint64(32)
                    k = 0
                    for step in range(5):  # without branches that depend on the draw; more than 4 is rare
                        k += u >= _STEPS[step]
                    while k > 4 and k < len(_STEPS) and u >= _STEPS[k]:
                        k += 1
                    found[i, r + half] = k
    return found


def replicates(drawn: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Sums of each replicate, (R, J): how often it counts each member (members, R) times their sums (members, J)."""
    return drawn.T @ sums


def boot_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of a statistic's values in the replicates; not a number below 20 of them.

    Quantiles stand at p (R + 1) among the ordered values, so that few replicates do not make it too narrow.

    >>> [round(x, 6) for x in boot_interval(np.arange(1.0, 100.0), level=0.9)]
    [5.0, 95.0]
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 20:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.5 - level / 2, 0.5 + level / 2], method="weibull")
    return float(low), float(high)
