"""What the simulated audience would do under any artwork policy, exactly; kept outside the tables, for judging only.

On a page the member takes title j with probability ``w_j / (1 + sum_k w_k)``, w = exp(utility), or nothing: titles
compete. A policy that draws each title's artwork independently has the expectation of that ratio, which is exact
through ``1 / (1 + S) = integral over t > 0 of exp(-t (1 + S))``: under the integral the titles factorise, and
Gauss-Laguerre quadrature (Abramowitz and Stegun 25.4.45) does the rest. Pages are taken as logged: which titles stood
where, which were already started, how often they had been seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keyart.demo.worlds import World

__all__ = ["Pages", "Truth", "truth_of"]

NODES = 32
"""Of the quadrature; exact to 1e-12 at usual take rates, to 1e-7 where every title is as likely as taking nothing."""
CHUNK = 1024
"""Pages looked at together."""


@dataclass(frozen=True)
class Pages:
    """V page visits (a member on a day) of at most J titles each: the decisions, without what the artworks do.

    They are fastest to compute with where a visit's titles come first and visits are ordered by their number.
    """

    member: np.ndarray  # (V,)
    day: np.ndarray  # (V,) days since the first
    title: np.ndarray  # (V, J); -1 where the page had fewer titles that were seen and not already started
    base: np.ndarray  # (V, J) utility without the artwork's part
    quality: np.ndarray  # (V, J) logit of the expected quality without the artwork's part

    def where(self, rows: np.ndarray | slice) -> "Pages":
        """Some of the visits (indices, mask or slice)."""
        return Pages(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Truth:
    """Pages and the tastes of M members; values are means per decision over the pages it holds."""

    title_ids: np.ndarray  # (T,)
    artwork_ids: np.ndarray  # (N,)
    slots: np.ndarray  # (T, A) into artworks; -1 where there are fewer
    looks: np.ndarray  # (N, D)
    propensity: np.ndarray  # (N,) with which the logging policy served it
    take_shift: np.ndarray  # (N,) what an artwork adds for everyone
    quality_shift: np.ndarray  # (N,) on the logit
    member_ids: np.ndarray  # (M,)
    region: np.ndarray  # (M,) into regions
    regions: np.ndarray  # (R,)
    observable: np.ndarray  # (M, D) weights on looks that region and genres explain
    private: np.ndarray  # (M, D) and those they don't
    private_variance: np.ndarray  # (D,)
    pages: Pages

    def write(self, path: Path) -> None:
        """One .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in vars(self).items() if name != "pages"}
        np.savez_compressed(path, **own, **{f"pages_{name}": value for name, value in vars(self.pages).items()})

    @staticmethod
    def read(path: Path) -> "Truth":
        """What ``write`` wrote."""
        with np.load(path) as stored:
            values = {name: stored[name] for name in stored.files}
        pages = {name.removeprefix("pages_"): values.pop(name) for name in list(values) if name.startswith("pages_")}
        return Truth(**values, pages=Pages(**pages))

    def within(self, first: int, end: int, members: np.ndarray | None = None) -> "Truth":
        """Only the pages of days [first, end), counted from the audience's first day, and of a mask of members (M,)."""
        kept = (self.pages.day >= first) & (self.pages.day < end)
        if members is not None:
            kept &= members[self.pages.member]
        return replace(self, pages=self.pages.where(kept))

    @property
    def decisions(self) -> int:
        """Titles on the pages."""
        return int((self.pages.title >= 0).sum())

    def value_of(self, policy: np.ndarray, metric: str = "reward") -> float:
        """Expected reward (or take) per decision under a policy, exactly.

        ``policy`` is a choice, integers (M, T) into a title's slots, or distributions over the slots from which each
        title's artwork is drawn independently: (T, A) for all members or (M, T, A).
        """
        if np.issubdtype(policy.dtype, np.integer):
            total = 0.0
            for member, title, weights, quality in self._chunks(self.observable + self.private):
                total += _chosen_value(weights, _worth(quality, metric), policy[member[:, None], title])
            return total / max(self.decisions, 1)
        return self._expected(policy, None, metric)

    def value_alone(self, policy: np.ndarray, metric: str = "reward") -> float:
        """The same where only the decision itself follows the policy and the page's other titles the logging policy.

        This is what estimates from single logged decisions aim at; where titles compete it differs from ``value_of``.
        """
        if np.issubdtype(policy.dtype, np.integer):
            policy = np.eye(self.slots.shape[1])[policy]
        return self._expected(policy, self.logging(), metric)

    def _expected(self, policy: np.ndarray, others: np.ndarray | None, metric: str) -> float:
        total = 0.0
        for member, title, weights, quality in self._chunks(self.observable + self.private):
            drawn = policy[title] if policy.ndim == 2 else policy[member[:, None], title]
            rest = drawn if others is None else others[title]
            total += float(expected_value(weights, _worth(quality, metric), drawn, rest).sum())
        return total / max(self.decisions, 1)

    def logging(self) -> np.ndarray:
        """The policy that served the log, (T, A)."""
        return np.where(self.slots >= 0, self.propensity[self.slots], 0.0)

    def uniform(self) -> np.ndarray:
        """The policy that draws from a title's artworks uniformly, (T, A)."""
        there = self.slots >= 0
        return there / there.sum(axis=1, keepdims=True)

    def best_of_groups(self, group: np.ndarray) -> np.ndarray:
        """The choice (M, T) of one artwork per group of members and title with the highest true value.

        ``group`` is (M,) integers; all zeros gives the best single artwork per title. Title by title until nothing
        changes.
        """
        groups, titles, width = int(group.max(initial=0)) + 1, *self.slots.shape
        choice = np.zeros((groups, titles), dtype=np.int64)
        for _ in range(12):
            gain = np.zeros(groups * titles * width)
            for member, title, weights, quality in self._chunks(self.observable + self.private):
                of = group[member]
                now = choice[of[:, None], title][..., None]
                w, wq = np.take_along_axis(weights, now, 2), np.take_along_axis(weights * quality, now, 2)
                other_w, other_wq = w.sum(axis=1, keepdims=True) - w, wq.sum(axis=1, keepdims=True) - wq
                value = (other_wq + weights * quality) / (1.0 + other_w + weights)
                cell = (of[:, None] * titles + title)[..., None] * width + np.arange(width)
                counted = (title >= 0)[..., None] & (self.slots[title] >= 0)
                gain += np.bincount(cell[counted], value[counted], minlength=gain.size)
            better = gain.reshape(groups, titles, width).argmax(axis=2)
            if np.array_equal(better, choice):
                break
            choice = better
        return choice[group]

    def oracle_value(self, private: bool = False) -> float:
        """Reward per decision of the best policy that knows the pages and the observable context of every member.

        What is private is integrated out as a Gaussian when choosing and acts when the choice is valued. With
        ``private`` the policy knows that too: the most that any policy can reach. The best choices on a page maximise
        a ratio of sums, hence ``w (q - V)`` per title at the optimal value V (Dinkelbach 1967).
        """
        total = 0.0
        spread = 0.0 if private else 0.5 * (self.looks**2) @ self.private_variance
        known = self.observable + self.private if private else self.observable
        expected = self._chunks(known, spread)
        actual = self._chunks(self.observable + self.private)
        for (_, _, weights, quality), (_, _, seen, _) in zip(actual, expected, strict=True):
            value = np.zeros((len(seen), 1, 1))
            for _ in range(8):
                choice = np.where(seen > 0, seen * (quality - value), -np.inf).argmax(axis=2)
                w = np.take_along_axis(seen, choice[..., None], 2)
                q = np.take_along_axis(quality, choice[..., None], 2)
                value = (w * q).sum(axis=1, keepdims=True) / (1.0 + w.sum(axis=1, keepdims=True))
            total += _chosen_value(weights, quality, choice)
        return total / max(self.decisions, 1)

    def _chunks(
        self, taste: np.ndarray, extra: np.ndarray | float = 0.0
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """(member, title, weights, quality) of some pages at a time: (n,), (n, J) and twice (n, J, A).

        Weights are 0 where there is no artwork.
        """
        for start in range(0, len(self.pages.member), CHUNK):
            pages = self.pages.where(slice(start, start + CHUNK))
            width = int(((pages.title >= 0) * np.arange(1, pages.title.shape[1] + 1)).max(initial=1))
            member, title = pages.member, pages.title[:, :width]
            look = taste[member] @ self.looks.T + self.take_shift + extra
            artwork = self.slots[title]
            there = (artwork >= 0) & (title >= 0)[..., None]
            utility = pages.base[:, :width, None] + look[np.arange(len(member))[:, None, None], artwork]
            logit = pages.quality[:, :width, None] + self.quality_shift[artwork]
            yield member, title, np.exp(utility) * there, 1.0 / (1.0 + np.exp(-logit))


def truth_of(world: World, pages: Pages) -> Truth:
    """The truth about a calibrated world's pages."""
    catalogue = world.catalogue
    return Truth(
        title_ids=np.array(catalogue.title_ids),
        artwork_ids=np.array(catalogue.artwork_ids),
        slots=catalogue.slots,
        looks=catalogue.looks,
        propensity=catalogue.propensity,
        take_shift=world.take_shift,
        quality_shift=world.quality_shift,
        member_ids=world.members.ids,
        region=world.members.region,
        regions=np.array(world.regions),
        observable=world.scale * world.observable,
        private=world.scale * world.private,
        private_variance=world.scale**2 * world.private_variance,
        pages=pages,
    )


def expected_value(weights: np.ndarray, worth: np.ndarray, drawn: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Expected worth of what is taken on each page, (n,), when each title's artwork is drawn independently.

    All are (n, J, A): exp(utility) and 0 where there is no artwork, worth of a take, probability of the artwork for the
    title whose take is counted, and for the titles it competes with (the same, or those of another policy).
    """
    there = (weights > 0) & ((drawn > 0) | (others > 0))
    least = np.where(there, weights, np.inf).min(axis=2)
    least = np.where(np.isfinite(least), least, 0.0)
    excess = np.where(there, weights - least[..., None], 0.0)
    # Every title takes at least its least weight: put into the exponential, it leaves an integrand that is nearly flat.
    chance = np.where(there, others, 0.0)
    chance[..., 0] += ~there.any(axis=2)
    gain = np.where(there, drawn * weights * worth, 0.0)
    sure = 1.0 + least.sum(axis=1)
    total = np.zeros(len(weights))
    for node, factor in zip(*np.polynomial.laguerre.laggauss(NODES), strict=True):
        decay = np.exp(-(node / sure)[:, None, None] * excess)
        nothing = (chance * decay).sum(axis=2)
        taken = (gain * decay).sum(axis=2) / nothing
        total += factor * nothing.prod(axis=1) * taken.sum(axis=1)
    return total / sure


def _worth(quality: np.ndarray, metric: str) -> np.ndarray:
    return quality if metric == "reward" else np.ones_like(quality)


def _chosen_value(weights: np.ndarray, worth: np.ndarray, choice: np.ndarray) -> float:
    """Sum over pages of the expected worth of what is taken when each title shows the chosen slot; choice is (n, J)."""
    w = np.take_along_axis(weights, choice[..., None], 2)[..., 0]
    q = np.take_along_axis(worth, choice[..., None], 2)[..., 0]
    return float(((w * q).sum(axis=1) / (1.0 + w.sum(axis=1))).sum())
