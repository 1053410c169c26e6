"""What each page says of given facts."""

import dataclasses
import datetime
import json
import math

import numpy as np
import pytest

from keyart.report import evidence
from keyart.report.catalogue import Catalogue, interval_of, page_of
from keyart.report.experiments_page import experiments_page
from keyart.report.facts import Facts
from keyart.report.members_page import members_page, spread
from keyart.report.operations_page import operations_page
from keyart.report.policy_page import policy_page
from keyart.report.site import IMAGES, environment, write_site
from keyart.report.title_page import title_page
from keyart.report.wall_page import FIRST, card, wall_data, wall_page


@pytest.mark.parametrize(
    ("title_id", "region", "artwork", "level"),
    [
        ("orbit", "SE", "orbit-2", "region"),
        ("orbit", "NO", "orbit-1", "parent"),
        ("orbit", "BR", "orbit-0", "global"),
        ("evil", "SE", "evil-1", "global"),
    ],
)
def test_a_default_comes_from_the_most_specific_level_that_knows(whole, title_id, region, artwork, level):
    found = Catalogue(whole).default(title_id, region)
    assert (found.artwork_id, found.level) == (artwork, level)


@pytest.mark.parametrize(
    ("title_id", "region", "segment", "artwork", "level"),
    [
        ("orbit", "SE", "taste-2", "orbit-0", "segment"),
        ("orbit", "NO", "taste-2", "orbit-1", "parent"),
        ("orbit", "SE", "taste-1", "orbit-2", "region"),
        ("evil", "SE", "taste-2", "evil-2", "segment"),
    ],
)
def test_a_segment_narrows_the_level_that_answers(whole, title_id, region, segment, artwork, level):
    found = Catalogue(whole).default(title_id, region, segment=segment)
    assert (found.artwork_id, found.level) == (artwork, level)


def test_a_member_is_set_beside_their_segments_default(whole, tmp_path):
    spec = json.dumps({"taste_segments": {"taste-2": "watches more drama than most"}})
    policy = {**whole.policy, "spec": spec}
    facts = dataclasses.replace(
        whole, members=[{**whole.members[0], "segment": "taste-2"}], policy=policy, policies=[policy]
    )
    catalogue = Catalogue(facts)
    (member,) = members_page(catalogue)["members"]
    assert member["segment"] == "taste-2, which watches more drama than most"
    (tile,) = member["own"]
    assert tile["usual"] == catalogue.picture(catalogue.artwork["orbit-0"])
    write_site(facts, tmp_path)
    page = (tmp_path / "members.html").read_text("utf-8")
    assert "taste-2, which watches more drama than most" in page and "As members of a like taste in SE" in page
    (plain,) = members_page(Catalogue(whole))["members"]
    assert plain["segment"] is None and plain["own"][0]["usual"] == catalogue.picture(catalogue.artwork["orbit-2"])


def test_without_a_policy_the_first_rank_is_the_default(whole):
    facts = dataclasses.replace(whole, assignments=(), policy=None)
    found = Catalogue(facts).default("orbit", "SE")
    assert (found.artwork_id, found.level) == ("orbit-0", "rank")
    assert Catalogue(facts).regions == []


def test_artworks_that_are_not_active_any_more_are_not_defaults(whole):
    facts = dataclasses.replace(whole, artworks=[row for row in whole.artworks if row["artwork_id"] != "orbit-2"])
    assert Catalogue(facts).default("orbit", "SE").artwork_id == "orbit-1"


def test_intervals_are_relative_changes_of_95_percent():
    value, lower, upper = interval_of({"mean": math.log(1.2), "sd": 0.1})
    assert value == pytest.approx(0.2)
    assert lower == pytest.approx(1.2 * math.exp(-0.196) - 1, abs=1e-4)
    assert upper == pytest.approx(1.2 * math.exp(0.196) - 1, abs=1e-4)


def test_page_names_are_safe_and_distinct():
    names = [page_of(t) for t in ("../x", "x", "X", "", "ü", "a/b", "a b", '"><img>', "a" * 300)]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").replace(".html", "").isalnum() and len(name) < 80 for name in names)


def cards_of(facts: Facts) -> list[dict]:
    catalogue = Catalogue(facts)
    return [card(catalogue, title) for title in catalogue.titles]


def test_the_wall_knows_which_titles_change_with_the_region(whole):
    found = next(row for row in cards_of(whole) if row["name"] == "The Long Orbit")
    newest, by_rank = found["choices"]
    numbers = [found["pictures"][choice[0]][4] for choice in newest]
    assert numbers == [1, 1, 2, 3], "everywhere, JP, NO, SE"
    assert newest[3][1:] == [0, pytest.approx(0.2214)] and newest[2][1] == 1 and newest[1][1] == 0
    assert [found["pictures"][choice[0]][4] for choice in by_rank] == [1] * 4
    assert {choice[2] for choice in by_rank} == {None}


def test_the_wall_page_holds_only_the_first_titles_and_the_data_all(whole):
    cards = [{**row, "page": f"title-{n}.html"} for n in range(30) for row in cards_of(whole)]
    facts = dataclasses.replace(whole, cards=cards)
    page = wall_page(facts)
    assert len(page["cards"]) == FIRST and page["more"] == 60 - FIRST
    assert page["parents"] == {"asia": ["JP"], "nordics": ["NO", "SE"]}
    assert page["moods"] == ["tense"] and page["genres"] == ["<b>", "drama", "thriller"]
    text = wall_data(facts)
    assert "<" not in text
    data = json.loads(text.removeprefix("window.keyartWall = ").removesuffix(";\n"))
    assert len(data["titles"]) == 60 and data["regions"] == ["*", "JP", "NO", "SE"]
    assert data["titles"][0][1] == '<script>alert("1")</script> & "quoted"'


def test_the_funnel_counts_what_the_pages_were_made_of(whole):
    page = wall_page(dataclasses.replace(whole, cards=cards_of(whole)))
    assert ("18", "candidates") in page["funnel"] and ("6", "artworks") in page["funnel"]


def test_a_policy_of_another_day_can_be_looked_at(whole):
    older = {**whole.policy, "policy_id": "older"}
    rows = [
        {**row, "policy_id": "older", "is_default": row["artwork_id"] == "orbit-1"} for row in whole.assignments[:3]
    ]
    facts = dataclasses.replace(whole, policies=[whole.policy, older], assignments=[*whole.assignments, *rows])
    found = next(row for row in cards_of(facts) if row["name"] == "The Long Orbit")
    assert [found["pictures"][choice[0]][4] for choice in found["choices"][1]] == [2] * 4


def test_after_a_scan_alone_the_wall_shows_the_best_frame(scanned):
    page = wall_page(dataclasses.replace(scanned, cards=cards_of(scanned)))
    assert [row["picture"][0] for row in page["cards"]] == ["hash-evil-5.jpg", "hash-orbit-5.jpg"]
    assert page["headline"].state == "none"


@pytest.mark.parametrize(
    ("row", "state", "word"),
    [
        ((0.12, 0.08, 0.16, True), "claimed", "may be claimed"),
        ((0.02, -0.01, 0.05, False), "unclaimed", "it does not"),
        ((None, None, None, False), "none", "Too few members"),
    ],
)
def test_the_headline_claims_what_the_evaluation_claims(whole, row, state, word):
    lift, lower, upper, claim = row
    verdict = "ok" if lift is not None else "too few members: 3 of 50 needed"
    change = {"lift": lift, "lift_lower": lower, "lift_upper": upper, "claim": claim, "verdict": verdict}
    facts = dataclasses.replace(whole, evaluations=[{**whole.evaluations[0], **change}])
    found = evidence.headline(facts)
    assert found.state == state
    assert word in found.claim


def test_the_headline_trusts_the_doubly_robust_estimate_most(whole):
    first = whole.evaluations[0]
    rows = [{**first, "estimator": name, "lift": lift} for name, lift in (("ips", 0.5), ("dr", 0.1), ("dm", 0.9))]
    assert evidence.headline(dataclasses.replace(whole, evaluations=rows)).lift == "+10.0%"


def test_an_estimator_that_says_nothing_gives_way_to_one_that_does(whole):
    first = whole.evaluations[0]
    refused = {**first, "lift": None, "lift_lower": None, "lift_upper": None, "verdict": "no overlap"}
    facts = dataclasses.replace(whole, evaluations=[refused, {**first, "estimator": "snips", "lift": 0.07}])
    assert evidence.headline(facts).lift == "+7.0%"


def test_slices_keep_to_their_dimension(whole):
    first = whole.evaluations[0]
    rows = [first, {**first, "slice": "region=SE"}, {**first, "slice": "region=JP"}, {**first, "slice": "device=tv"}]
    charts = evidence.slices(dataclasses.replace(whole, evaluations=rows))
    assert {name: [bar.estimate.label for bar in chart.bars] for name, chart in charts.items()} == {
        "device": ["tv"],
        "region": ["JP", "SE"],
    }


def test_a_title_page_shows_the_strip_the_chosen_and_the_others(whole):
    catalogue = Catalogue(whole)
    page = title_page(catalogue, catalogue.title["orbit"])
    film = page["films"][0]
    assert sum(cell["width"] for cell in film["strip"]) == pytest.approx(100)
    assert [cell["picture"].file for cell in film["strip"]] == [f"hash-orbit-{n}.jpg" for n in (1, 3, 5)]
    assert [pin["left"] for pin in film["pins"]] == pytest.approx([0, 100 / 3, 200 / 3])
    assert [c["verdict"] for c in page["candidates"]] == ["blurred"] * 3
    assert page["candidates_left"] == 3
    assert page["artworks"][0]["take_rate"] == "3.50%"
    assert page["artworks"][2]["wins"] == ["SE"]
    labels = [(row["label"], row["number"], row["differs"]) for row in page["winners"]["rows"]]
    assert labels == [("everywhere", 1, False), ("JP", 1, False), ("nordics", 2, True), ("SE", 3, True)]


def test_variants_stand_beside_what_they_were_made_of(whole):
    made = {
        "artwork_id": "orbit-9",
        "rank": 9,
        "parent_artwork_id": "orbit-1",
        "variant": "title-ja",
        "only_regions": ["JP"],
    }
    parent = next(row for row in whole.artworks if row["artwork_id"] == "orbit-1")
    facts = dataclasses.replace(whole, artworks=[*whole.artworks, parent | made])
    catalogue = Catalogue(facts)
    page = title_page(catalogue, catalogue.title["orbit"])
    assert len(page["films"][0]["pins"]) == 3, "the moment is marked once"
    last = page["artworks"][-1]
    assert (last["number"], last["parent"]) == (4, 2)
    text = (
        environment()
        .get_template("title.html")
        .render(active="index.html", images=IMAGES, navigation=(), footer={"when": None, "versions": []}, **page)
    )
    assert "title-ja of artwork 2" in text and "<dt>shown only in</dt><dd>JP</dd>" in text


def test_people_are_shown_by_their_largest_face_the_longest_on_screen_first(whole):
    small, large = ({**whole.artworks[1]["faces"][0], "height": height} for height in (0.2, 0.6))
    seen = [
        {"faces": [small, large], "face_details": [{"cluster": 0}, {"cluster": 3}], "cast_clusters": [0, 3],
         "cast_prominence": [0.6, 0.1]},
        {"faces": [large], "face_details": [{"cluster": 0}], "cast_clusters": [0], "cast_prominence": [0.6]},
        {"faces": [small], "face_details": [{"cluster": None}], "cast_clusters": [], "cast_prominence": []},
    ]  # fmt: skip
    artworks = [{**row, **more} for row, more in zip(whole.artworks, seen, strict=False)]
    catalogue = Catalogue(dataclasses.replace(whole, artworks=artworks))
    people = title_page(catalogue, catalogue.title["orbit"])["people"]
    assert [(p["cluster"], p["share"], p["numbers"]) for p in people] == [(0, "60%", [1, 2]), (3, "10%", [1])]
    # 0.6 of 180 pixels high, half as much again: a square of 162 around the face's middle at (0.2 * 320, 0.4 * 180)
    assert people[0]["box"] == "-17.0 -9.0 162.0 162.0"


def test_tastes_say_what_their_members_are_given(whole):
    catalogue = Catalogue(whole)
    (line,) = title_page(catalogue, catalogue.title["orbit"])["segments"]
    assert (line["name"], line["members"]) == ("drama", "200")
    assert [(one["number"], one["share"]) for one in line["given"]] == [(3, "45%"), (2, "30%")]


def test_long_films_are_thinned_to_a_strip_that_still_covers_them(whole):
    shots = [{**whole.shots[0], "shot_id": n, "start_seconds": float(n), "end_seconds": n + 1.0} for n in range(1000)]
    catalogue = Catalogue(dataclasses.replace(whole, shots=shots))
    strip = title_page(catalogue, catalogue.title["orbit"])["films"][0]["strip"]
    assert len(strip) <= 120
    assert sum(cell["width"] for cell in strip) == pytest.approx(100)


def test_members_see_their_own_artwork_first_and_their_regions_default_beside_it(whole):
    page = members_page(Catalogue(whole))
    member = page["members"][0]
    assert member["key"] == "01234567"
    (first,), (second,) = member["own"], member["others"]
    assert (
        first["override"] and first["picture"].file == "hash-orbit-1.jpg" and first["usual"].file == "hash-orbit-2.jpg"
    )
    assert first["gain"] == "+10.5%"
    assert not second["override"]
    assert ("25%", "see at least one artwork of their own") in page["audience"]


def test_small_groups_are_not_counted_out(whole):
    assert [line["members"] for line in members_page(Catalogue(whole))["popular"]] == ["100"]
    assert members_page(Catalogue(dataclasses.replace(whole, smallest_cell=101)))["popular"] == []


def test_small_cells_show_no_counts(whole):
    catalogue = Catalogue(dataclasses.replace(whole, smallest_cell=101))
    page = title_page(catalogue, catalogue.title["orbit"])
    assert {(row["n"], row["takes"]) for row in page["winners"]["rows"]} == {("under 101", "–")}
    assert "gains" not in page["winners"]["rows"][0]["reason"]
    assert {row["taken"] for row in page["winners"]["rows"]} == {"–"}


def test_the_features_on_which_regions_differ_most_come_first(whole):
    weights = [
        {"level": level, "cell": cell, "feature": name, "weight": weight, "sd": sd}
        for level, cell, name, weight, sd in [
            ("region", "SE", "warmth", 0.2, 0.05),
            ("region", "JP", "warmth", -0.2, 0.2),
            ("region", "SE", "thirds", 0.01, None),
            ("region", "JP", "thirds", 0.01, None),
            ("global", "*", "thirds", 9.0, 1.0),
        ]
    ]
    found = policy_page(Catalogue(dataclasses.replace(whole, weights=weights)))["favours"]
    assert found.heads == ("feature", "JP", "SE")
    assert found.cells == [
        ("warmer colours", "(−0.200 ± 0.392)", "+0.200 ± 0.098"),
        ("a more classic frame", "+0.010", "+0.010"),
    ]
    assert [row["unsure"] for row in found.rows] == [True, False, False, False]
    assert "95%" in found.caption
    assert [(row["region"], row["weight"]) for row in found.rows[:2]] == [("JP", -0.2), ("SE", 0.2)]


def test_what_devices_and_parts_of_the_day_add_stands_apart_from_regions(whole):
    weights = [
        {"level": level, "cell": cell, "feature": "warmth", "weight": weight, "sd": 0.05}
        for level, cell, weight in [
            ("day part", "evening", 0.01),
            ("device", "tv", -0.2),
            ("device", "phone", 0.2),
            ("region", "SE", 9.0),
        ]
    ]
    page = policy_page(Catalogue(dataclasses.replace(whole, weights=weights)))
    found = page["by_context"]
    assert found.heads == ("feature", "phone", "tv", "evening")
    assert found.cells == [("warmer colours", "+0.200 ± 0.098", "−0.200 ± 0.098", "(+0.010 ± 0.098)")]
    assert page["favours"].heads == ("feature", "SE")
    assert policy_page(Catalogue(dataclasses.replace(whole, weights=weights[-1:])))["by_context"] is None


def test_a_page_of_pictures_alike_has_no_spread():
    scale = np.array([1.0, 2.0, 0.0])
    assert spread(np.array([[1.0, 2.0, 3.0]] * 3), scale) == 0
    # one apart in the first feature, two in the second (one of its units): sqrt((1 + 1 + 0) / 3)
    assert spread(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 9.0]]), scale) == pytest.approx(math.sqrt(2 / 3))
    assert spread(np.zeros((1, 3)), scale) == 0


def test_a_members_page_is_compared_with_the_default_page(whole):
    member = members_page(Catalogue(whole))["members"][0]
    # The default page shows orbit-2 and evil-1, a step apart; theirs shows orbit-1 and evil-1, which are alike.
    assert member["variety"] == "their pictures differ from each other 100% less than the default page's"


def test_experiments_say_verdict_split_days_and_segments(whole):
    base = {
        "experiment_id": "e", "name": "warm", "variant": "b", "metric": "minutes", "segment": "*", "day": -1,
        "members": 900, "mean": 5.0, "control_mean": 4.0, "difference": 1.0, "lower": 0.5, "upper": 1.5,
        "relative": 0.25, "relative_lower": 0.1, "relative_upper": 0.4, "sequential_lower": 0.2,
        "sequential_upper": 1.8, "adjusted_p": 0.0001, "correction": "one comparison", "sample_ratio_p": 0.4,
        "verdict": "ship: b adds 25%",
    }  # fmt: skip
    rows = [
        {**base, "kind": "primary"},
        *({**base, "kind": "novelty", "day": day, "relative": None} for day in range(3)),
        {**base, "kind": "segment", "segment": "region=SE", "verdict": "better"},
        {**base, "kind": "guardrail", "metric": "abandonment", "relative": None, "relative_lower": None},
    ]
    (test,) = experiments_page(Catalogue(dataclasses.replace(whole, experiments=rows)))["experiments"]
    assert test["verdicts"] == [("b", "ship: b adds 25%", "yes")] and test["sound"]
    assert [row["day"] for row in test["trend"].rows] == [0, 1, 2]
    assert test["segments"].cells[0][:4] == ("region SE", "b", "900", "+25.0%")
    titles = [block["title"] for block in test["blocks"]]
    assert titles == ["What decides", "Guardrails"]
    assert test["blocks"][1]["lines"][0][5:7] == ("1", "0.5 to 1.5")
    broken = [{**row, "sample_ratio_p": 1e-9} for row in rows]
    assert not experiments_page(Catalogue(dataclasses.replace(whole, experiments=broken)))["experiments"][0]["sound"]


@pytest.mark.parametrize("build", [members_page, policy_page, experiments_page, operations_page])
def test_a_run_that_did_nothing_yet_has_pages_too(build):
    assert build(Catalogue(Facts()))
    assert wall_page(Facts())


def test_members_count_and_not_their_decisions(whole):
    """Fifty decisions of two members are two members'."""
    row = next(one for one in whole.assignments if one["level"] == "region" and one["n"] >= 2)
    crowd = {"artwork_id": row["artwork_id"], "region": row["cell"], "members": 1}
    few = Catalogue(dataclasses.replace(whole, smallest_cell=2, crowds=[crowd]))
    many = Catalogue(dataclasses.replace(whole, smallest_cell=2, crowds=[{**crowd, "members": 2}]))
    assert few.counted(row)[:2] == ("under 2", "–")
    assert many.counted(row)[0] == str(row["n"])
    assert not few.is_few(row["artwork_id"], row["n"]), "everywhere nobody counted"


def test_the_policy_page_says_who_is_champion_and_why_another_was_refused(whole):
    checks = [{"name": "difference", "passed": False, "reason": "lower bound -0.02, must exceed -0.01"}]
    rows = [
        {"number": 2, "action": "refuse", "policy_id": "newer", "champion_id": "older", "checks": json.dumps(checks)},
        {"number": 1, "action": "promote", "policy_id": "older", "champion_id": None, "checks": json.dumps(checks)},
    ]
    at = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
    page = policy_page(Catalogue(dataclasses.replace(whole, promotions=[{**row, "at": at} for row in rows])))
    assert page["champion"] == "older"
    assert [action for _, action, _ in page["tries"]] == ["refuse", "promote"]
    assert page["tries"][0][2] == "newer refused, compared with older; difference: lower bound -0.02, must exceed -0.01"
    assert policy_page(Catalogue(whole))["tries"] == []
