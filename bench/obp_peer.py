"""What Open Bandit Pipeline (obp 0.5.7) and statsmodels say of arrays that bench/obd.py wrote; in an environment apart.

    python3.11 -m venv ENV
    ENV/bin/pip install --no-deps --ignore-requires-python obp==0.5.7
    ENV/bin/pip install numpy scipy scikit-learn pandas pyyaml tqdm seaborn matplotlib mypy_extensions statsmodels
    ENV/bin/python bench/obp_peer.py ARRAYS.npz ANSWERS.json

obp's estimators need no torch, but its package imports it at the top: an empty module stands in.
"""

import json
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path


class Nothing:
    """Whatever is asked of torch."""


class Stub(types.ModuleType):
    """A module that has everything and does nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing


for module in ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data"):
    sys.modules[module] = Stub(module)
    sys.modules[module].__spec__ = ModuleSpec(module, None)
    parent, _, child = module.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, sys.modules[module])

import numpy as np  # noqa: E402
import statsmodels.api as sm  # noqa: E402
from obp.ope import estimators, estimators_slate  # noqa: E402


def answers(a: dict[str, np.ndarray]) -> dict[str, float]:
    """Estimates by the names that keyart uses."""
    clip = float(a["clip"])
    given = {
        "reward": a["reward"],
        "action": a["action"],
        "position": a["position"],
        "pscore": a["pscore"],
        "action_dist": a["action_dist"],
        "estimated_rewards_by_reg_model": a["expected"],
    }
    found = {
        "ips": estimators.InverseProbabilityWeighting(),
        "clipped": estimators.InverseProbabilityWeighting(lambda_=clip),
        "snips": estimators.SelfNormalizedInverseProbabilityWeighting(),
        "dm": estimators.DirectMethod(),
        "dr": estimators.DoublyRobust(),
        "sndr": estimators.SelfNormalizedDoublyRobust(),
        "switch": estimators.SwitchDoublyRobust(lambda_=clip),
    }
    values = {name: float(each.estimate_policy_value(**given)) for name, each in found.items()}
    greedy = given | {"action_dist": a["greedy_dist"]}
    values["replay"] = float(estimators.ReplayMethod().estimate_policy_value(**greedy))
    slate = {"slate_id": a["slate"], "reward": a["reward"], "position": a["slot"]}
    values["page-ips"] = float(
        estimators_slate.SlateStandardIPS(len_list=int(a["slots"])).estimate_policy_value(
            **slate, pscore=a["joint"], evaluation_policy_pscore=a["joint_target"]
        )
    )
    values["page-items"] = float(
        estimators_slate.SlateIndependentIPS(len_list=int(a["slots"])).estimate_policy_value(
            **slate, pscore_item_position=a["pscore"], evaluation_policy_pscore_item_position=a["target"]
        )
    )
    # Standard errors clustered by slate: of a mean by least squares on a constant, of a ratio by weighted ones.
    weight, one, by = a["target"] / a["pscore"], np.ones(len(a["reward"])), {"groups": a["slate"]}
    values["error of ips"] = float(sm.OLS(weight * a["reward"], one).fit(cov_type="cluster", cov_kwds=by).bse[0])
    values["error of snips"] = float(
        sm.WLS(a["reward"], one, weights=weight).fit(cov_type="cluster", cov_kwds=by).bse[0]
    )
    return values


if __name__ == "__main__":
    with np.load(sys.argv[1]) as arrays:
        Path(sys.argv[2]).write_text(json.dumps(answers(dict(arrays))))
