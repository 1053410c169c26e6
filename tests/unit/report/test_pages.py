"""What each page says of given facts."""

import dataclasses
import math

import numpy as np
import pytest

from keyart.report import evidence
from keyart.report.catalogue import Catalogue, interval_of, page_of
from keyart.report.facts import Facts
from keyart.report.members_page import members_page
from keyart.report.operations_page import operations_page
from keyart.report.policy_page import favours, policy_page
from keyart.report.title_page import title_page
from keyart.report.wall_page import wall_page


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


def test_the_wall_knows_which_titles_change_with_the_region(whole):
    page = wall_page(Catalogue(whole))
    card = next(card for card in page["cards"] if card["name"] == "The Long Orbit")
    by = page["wall"][card["key"]]["by"]
    assert by["*"][0] == 0 and by["SE"][0] == 2 and by["NO"][0] == 1
    assert by["SE"][2] and not by["JP"][2]
    assert "+22.1%" in by["SE"][1] and by["JP"][1] == "as everywhere"
    assert page["parents"] == {"asia": ["JP"], "nordics": ["NO", "SE"]}
    assert ("300", "frames looked at") not in page["funnel"] and ("600", "frames looked at") in page["funnel"]


def test_after_a_scan_alone_the_wall_shows_the_best_frame(scanned):
    page = wall_page(Catalogue(scanned))
    assert [card["picture"].file for card in page["cards"]] == ["hash-evil-5.jpg", "hash-orbit-5.jpg"]
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
    first, second = member["tiles"]
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


def test_what_a_region_favours_is_found_within_titles_only():
    rng = np.random.default_rng(3)
    titles = np.repeat(np.arange(50), 8)
    features = rng.normal(size=(400, 3))
    features[:, 1] += 10 * (titles % 2)  # varies between titles
    means = 0.3 * features[:, 0] + 0.1 * rng.normal(size=400) + 5 * (titles % 2)
    found = favours(features, titles, means)
    assert found[0] > 0.9
    assert abs(found[1]) < 0.2 and abs(found[2]) < 0.2


def test_cells_that_know_nothing_are_left_out():
    features = np.array([[0.0], [1.0], [2.0], [50.0]])
    assert favours(features, np.zeros(4), np.array([0.0, 1.0, 2.0, np.nan]))[0] == pytest.approx(1.0)
    assert favours(np.ones((3, 1)), np.zeros(3), np.array([0.0, 1.0, 2.0]))[0] == 0


@pytest.mark.parametrize("build", [wall_page, members_page, policy_page, operations_page])
def test_a_run_that_did_nothing_yet_has_pages_too(build):
    assert build(Catalogue(Facts()))
