"""keyart experiment plan from given figures: no session, no tables."""

import re

import pytest

from keyart import cli, session

GIVEN = ["--set", "experiment.baseline_mean=1.5", "--set", "experiment.baseline_sd=3"]


@pytest.fixture(autouse=True)
def no_session(monkeypatch):
    def refuse(*_):
        raise AssertionError("a plan from given figures needs no Spark")

    monkeypatch.setattr(session, "open_session", refuse)


def test_members_and_days(capsys):
    asked = ["--effect", "0.05", "--set", "experiment.looks=once", "--set", "experiment.baseline_members=1000"]
    assert cli.main(["experiment", "plan", *GIVEN, *asked, "--power", "0.9"]) == 0
    said = capsys.readouterr().out
    found = re.search(r"([\d,]+) members \(([\d,]+) \+ ([\d,]+)\) and (\d+) days find 5.00% with power 0.9", said)
    total, control, variant, days = (int(text.replace(",", "")) for text in found.groups())
    # (z + z)^2 (1 + 1.05^1.5) sd^2 / difference^2
    assert (
        control == variant == pytest.approx((1.959964 + 1.281552) ** 2 * (1 + 1.05**1.5) * (3 / 0.075) ** 2, rel=1e-4)
    )
    assert total == control + variant and days == -(-total // 1000)


def test_many_variants_need_more(capsys):
    members = []
    for arms in (2, 5):
        assert cli.main(["experiment", "plan", *GIVEN, "--set", f"experiment.arms={arms}"]) == 0
        members.append(int(re.search(r"\(([\d,]+) \+", capsys.readouterr().out)[1].replace(",", "")))
    assert members[1] > 1.2 * members[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--metric", "clicks"], "there is no metric 'clicks'"),
        (["--power", "0.01"], "experiment.power is 0.01"),
        (["--set", "experiment.power=0.051", "--set", "experiment.alpha=0.2"], "not between alpha"),
        (["--set", "experiment.guardrails={return: much}"], "guardrails"),
        (["--set", "experiment.shares=[0.5, 0.2]"], "must sum to 1"),
    ],
)
def test_bad_input_is_one_line(change, said, capsys):
    assert cli.main(["experiment", "plan", *GIVEN, *change]) == 2
    out = capsys.readouterr()
    assert said in out.err and out.err.count("\n") == 1
