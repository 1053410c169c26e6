"""The judge compares with the truth, and speaks only for what was claimed."""

import numpy as np
import pytest

from keyart.demo.judge import conclusions, judge, judged_part
from keyart.demo.truth import Pages, Truth
from keyart.errors import InputError
from keyart.feedback.privacy import user_keys
from keyart.seeding import bucket

MEMBERS, TITLES, ARTWORKS = 200, 3, 4


@pytest.fixture(scope="module")
def truth() -> Truth:
    random = np.random.default_rng(0)
    count = TITLES * ARTWORKS
    visits = 1_000
    return Truth(
        title_ids=np.array([f"t{n}" for n in range(TITLES)]),
        artwork_ids=np.array([f"a{n:02d}" for n in reversed(range(count))]),
        slots=np.arange(count).reshape(TITLES, ARTWORKS),
        looks=random.standard_normal((count, 2)),
        propensity=np.full(count, 1 / ARTWORKS),
        take_shift=np.zeros(count),
        quality_shift=np.zeros(count),
        member_ids=np.array([f"member-{n}" for n in range(MEMBERS)]),
        region=np.arange(MEMBERS) % 2,
        regions=np.array(["SE", "US"]),
        observable=0.6 * random.standard_normal((MEMBERS, 2)) + 0.4 * np.where(np.arange(MEMBERS) % 2, 1, -1)[:, None],
        private=np.zeros((MEMBERS, 2)),
        private_variance=np.zeros(2),
        pages=Pages(
            member=random.integers(MEMBERS, size=visits),
            day=np.arange(visits) % 10,
            title=np.tile(np.arange(TITLES), (visits, 1)),
            base=np.full((visits, TITLES), -3.0),
            quality=np.zeros((visits, TITLES)),
        ),
    )


def shown(truth: Truth, everyone: np.ndarray, region: np.ndarray, user: np.ndarray) -> dict[str, np.ndarray]:
    """The columns that the policy room writes, shuffled."""
    order = np.random.default_rng(1).permutation(MEMBERS * TITLES)
    member, title = order // TITLES, order % TITLES
    columns = {"user_key": truth.member_ids[member], "title_id": truth.title_ids[title]}
    for level, choice in (("global", everyone), ("region", region), ("user", user)):
        columns[f"{level}_artwork"] = truth.artwork_ids[truth.slots[title, choice[member, title]]]
    return columns


def row(target="user", baseline="uniform", claim=True, lift=0.14, verdict="ok", **other):
    figures = {"lift": lift, "lift_lower": lift - 0.05, "lift_upper": lift + 0.05} if lift is not None else {}
    plain = {"target": target, "baseline": baseline, "claim": claim, "verdict": verdict, "lower": None, "upper": None}
    return plain | {"estimator": "dr", "metric": "reward", "slice": "*"} | figures | other


def test_the_best_of_each_level_gets_its_true_value(truth):
    single = truth.best_of_groups(np.zeros(MEMBERS, np.int64))
    region, user = truth.best_of_groups(truth.region), truth.best_of_groups(np.arange(MEMBERS))
    found = judge(truth, shown(truth, single, region, user), [])
    assert found["values"]["global"] == found["values"]["best_single"] == truth.value_of(single)
    assert found["values"]["region"] == found["values"]["best_region"] == truth.value_of(region)
    assert found["values"]["user"] == truth.value_of(user)
    assert 0 < found["lift_global_vs_uniform"] < found["lift_region_vs_uniform"] < found["lift_user_vs_uniform"]
    assert found["lift_user_vs_region"] == pytest.approx(truth.value_of(user) / truth.value_of(region) - 1)
    assert found["share_of_oracle"] == pytest.approx(1.0, abs=0.01)
    assert found["ope_interval_user"] is found["truth_in_interval"] is None
    assert found["value_user_alone"] > found["values"]["user"]


def test_a_bad_choice_is_told_from_a_good_one(truth):
    worst = np.tile([3, 3, 3], (MEMBERS, 1))
    best = truth.best_of_groups(np.arange(MEMBERS))
    found = judge(truth, shown(truth, best, best, worst), [])
    assert found["values"]["user"] == truth.value_of(worst)
    assert found["lift_user_vs_region"] < -0.1
    assert found["share_of_oracle"] < 0.5


def test_members_without_an_assignment_fall_back(truth):
    region = truth.best_of_groups(truth.region)
    columns = shown(truth, region, region, region)
    known = np.isin(columns["user_key"], truth.member_ids[:100])
    found = judge(truth, {name: values[known] for name, values in columns.items()}, [])
    assert found["values"]["region"] == found["values"]["user"] == truth.value_of(region)
    nobody = judge(truth, {name: values[:0] for name, values in columns.items()}, [])
    assert nobody["values"]["user"] == truth.value_of(np.zeros((MEMBERS, TITLES), np.int64))


def test_artworks_that_were_never_shown_are_refused(truth):
    first = np.zeros((MEMBERS, TITLES), np.int64)
    columns = shown(truth, first, first, first)
    columns["user_artwork"] = columns["user_artwork"].astype(object)
    columns["user_artwork"][5] = "elsewhere"
    with pytest.raises(InputError, match="elsewhere"):
        judge(truth, columns, [])
    columns["user_artwork"][5] = columns["user_artwork"][
        np.flatnonzero(columns["title_id"] != columns["title_id"][5])[0]
    ]
    with pytest.raises(InputError, match="not one that the audience was shown"):
        judge(truth, columns, [])


def test_the_interval_is_held_against_the_truth(truth):
    first = np.zeros((MEMBERS, TITLES), np.int64)
    value = truth.value_of(first)
    columns = shown(truth, first, first, first)
    inside = judge(truth, columns, [row(lower=0.9 * value, upper=1.1 * value)])
    outside = judge(truth, columns, [row(lower=1.1 * value, upper=1.2 * value)])
    assert inside["ope_interval_user"] == pytest.approx((0.9 * value, 1.1 * value))
    assert inside["truth_in_interval"] is True
    assert outside["truth_in_interval"] is False


def test_no_share_of_an_oracle_that_gains_nothing(truth):
    empty = Truth(**{**vars(truth), "looks": np.zeros_like(truth.looks)})
    choice = np.ones((MEMBERS, TITLES), np.int64)
    found = judge(empty, shown(empty, choice, choice, choice), [])
    assert found["share_of_oracle"] is None
    assert found["lift_user_vs_uniform"] == found["oracle_lift"] == 0.0


def test_only_members_who_were_held_out_are_judged(truth):
    secret = b"for tests"
    keys = user_keys(secret, [str(member) for member in truth.member_ids])
    part = judged_part(truth, secret, 2, 8, 0.25)
    assert list(part.member_ids) == keys
    assert set(part.pages.day) == set(range(2, 8))
    held = {member for member, key in enumerate(keys) if bucket(key) < 16}
    assert set(part.pages.member) == held & set(truth.within(2, 8).pages.member)
    everyone = judged_part(truth, secret, 0, 10, 0.0)
    assert everyone.decisions == truth.decisions


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row()], ["user-level assignment beats uniform by 14% (95%: 9 to 19)"]),
        ([row(claim=False)], ["no lift over uniform can be claimed"]),
        (
            [row(claim=False, lift=None, verdict="too few members: 3 of 50 needed")],
            ["no lift over uniform can be claimed: too few members: 3 of 50 needed"],
        ),
        (
            [row(), row("region", claim=False)],
            [
                "user-level assignment beats uniform by 14% (95%: 9 to 19)",
                "no region-level lift over uniform can be claimed",
            ],
        ),
        (
            [row(baseline="region", claim=False), row()],
            [
                "user-level assignment beats uniform by 14% (95%: 9 to 19)",
                "no user-level gain over region-level can be claimed",
            ],
        ),
        ([row(estimator="ips"), row(metric="take"), row(slice="region=SE"), row("uniform")], None),
        ([], None),
    ],
)
def test_conclusions_come_from_the_claims_alone(rows, said):
    assert conclusions(rows) == (said or ["nothing was evaluated, so nothing can be claimed"])
