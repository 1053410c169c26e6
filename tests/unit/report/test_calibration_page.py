"""Calibration on the policy page and in the model card: figures, intervals, and what is called a fault."""

from dataclasses import replace

import pytest

from keyart.report.calibration import faults, plots_of, slope_table
from keyart.report.cards import known_faults, model_card
from keyart.report.site import write_site


def slope(value, error, kind="chance", region="*"):
    return {
        "policy_id": "p", "measure": f"slope of {kind}", "region": region, "part": 0, "decisions": 4000,
        "predicted": 1.0, "observed": value, "standard_error": error,
    }  # fmt: skip


def tenth(measure, part, predicted, observed, error=0.01, region="*"):
    row = slope(observed, error, region=region)
    return {**row, "measure": measure, "part": part, "decisions": 400, "predicted": predicted}


ROWS = [
    tenth("reliability", 2, 0.04, 0.05),
    tenth("reliability", 1, 0.02, 0.01),
    tenth("reliability", 1, 0.9, 0.8, region="SE"),
    tenth("uplift", 1, 0.003, -0.002, 0.001),
    slope(0.7, 0.02, "artwork", "SE"),
    slope(1.02, 0.03, region="SE"),
    slope(1.0, 0.2, "artwork"),
    slope(1.01, 0.02),
]


def test_slopes_stand_by_region_with_where_their_intervals_lie():
    _, cells = slope_table(ROWS)
    assert [(line[0], line[1], line[2], line[5]) for line in cells] == [
        ("all regions", "the whole chance", "1.01", "inside"),
        ("all regions", "the artwork's share in it", "1.00", "overlaps"),
        ("SE", "the whole chance", "1.02", "inside"),
        ("SE", "the artwork's share in it", "0.70", "outside"),
    ]
    assert cells[3][3] == "0.66 to 0.74"
    assert faults(ROWS) == [
        "the artwork's share in it is predicted too far apart in region SE: slope 0.70 (0.66 to 0.74) on later days"
    ]


def test_tenths_are_those_of_all_regions_in_their_order():
    found = plots_of(ROWS)
    assert list(found) == ["slopes", "reliability", "uplift"]
    assert [(row["predicted"], row["value"]) for row in found["reliability"].rows] == [(0.02, 0.01), (0.04, 0.05)]
    assert found["reliability"].rows[1]["lower"] == pytest.approx(0.05 - 0.0196)
    assert found["uplift"].cells == [("1", "400", "+0.30%", "−0.20%", "−0.40% to 0.00%")]


def test_what_is_not_known_is_not_drawn():
    assert plots_of([]) == {} and faults([]) == []
    nothing = [slope(float("nan"), float("nan")), tenth("uplift", 1, 0.1, 0.1, float("nan"))]
    assert plots_of(nothing) == {}


def test_the_page_the_card_and_its_faults_say_so(whole, tmp_path):
    facts = replace(whole, calibration=ROWS)
    write_site(facts, tmp_path)
    page = (tmp_path / "policy.html").read_text()
    assert 'data-plot="slopes"' in page and page.count('data-plot="reliability"') == 2
    card = model_card(facts).replace("\\", "")
    assert "| SE | the artwork's share in it | 0.70 | 0.66 to 0.74 | 4,000 | outside |" in card
    assert "| 2 | 400 | 4.00% | 5.00% | 3.04% to 6.96% |" in card
    assert any("too far apart in region SE" in fault for fault in known_faults(facts))
    bare = model_card(whole)
    assert "The model kept none" in bare
