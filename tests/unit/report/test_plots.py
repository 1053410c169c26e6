"""Charts: every kind compiles, in pages and in notebooks, and the site's carry no colours of their own."""

import json

import pytest

from keyart.report.plots import COLOURS, PLOTS, Plot, library, picture, specifications

ROWS = {
    "film": [{"seconds": 0.5, "brightness": 0.4, "motion": 0.1}, {"seconds": 0.7, "face": 0.3}],
    "intervals": [{"label": "a", "value": 0.1, "lower": 0.0, "upper": 0.2, "strong": True}],
    "ratios": [{"label": "a", "value": 0.9, "lower": 0.5, "upper": 1.2, "strong": False}],
    "weights": [
        {"region": "SE", "feature": "warmth", "weight": -0.2, "text": "−0.200", "unsure": False},
        {"region": "JP", "feature": "warmth", "weight": 0.2, "text": "(+0.2 ± 0.3)", "unsure": True},
    ],
    "trend": [{"day": d, "variant": "b", "value": 1.0, "lower": 0.0, "upper": 2.0} for d in range(3)],
    "beside": [{"label": "gini", "value": 0.4, "who": who} for who in ("own", "as logged", "at random")],
    "slopes": [{"label": "SE", "value": 0.9, "lower": 0.8, "upper": 1.2, "strong": False}],
    "reliability": [
        {"label": f"tenth {t}", "predicted": t / 50, "value": t / 40, "lower": t / 60, "upper": t / 30}
        for t in range(1, 11)
    ],
    "launch": [{"day": d, "value": 0.8 + d / 20, "lower": 0.7, "upper": 1.0} for d in range(3)],
    "bars": [{"label": "scan", "value": 12.0}],
}


@pytest.mark.parametrize("name", sorted(PLOTS))
def test_a_chart_draws_its_rows(name):
    vl_convert = pytest.importorskip("vl_convert")
    picture = vl_convert.vegalite_to_svg({**PLOTS[name](ROWS[name]).to_dict(), "width": 300})
    marks = [text for text in ("mark-area", "mark-line", "mark-rule", "mark-symbol", "mark-rect") if text in picture]
    wanted = {"film": 3, "intervals": 2, "ratios": 2, "weights": 1, "trend": 3, "bars": 1, "beside": 1}
    wanted |= {"slopes": 3, "reliability": 3, "launch": 3}
    assert len(marks) >= wanted[name]


@pytest.mark.parametrize("name", sorted(PLOTS))
def test_a_sites_specification_names_its_rows_and_leaves_colours_to_the_page(name):
    text = json.dumps(specifications()[name])
    assert '"name": "rows"' in text and "values" not in text
    assert name in ("weights", "trend") or "var(--" in text


def test_a_weight_that_may_be_nothing_is_grey():
    vl_convert = pytest.importorskip("vl_convert")
    picture = vl_convert.vegalite_to_svg({**PLOTS["weights"](ROWS["weights"]).to_dict(), "width": 300})
    assert picture.count(f'fill="{COLOURS["rule"]}"') == 1


def test_a_picture_stands_alone_with_its_caption_and_every_point():
    pytest.importorskip("vl_convert")
    drawn = picture(Plot("reliability", "What was <predicted> and what came", ROWS["reliability"]))
    assert drawn.startswith("<svg") and "What was &lt;predicted&gt; and what came" in drawn
    assert drawn.count('aria-roledescription="point"') == 10 or drawn.count(f'fill="{COLOURS["accent"]}"') == 10


def test_the_library_comes_with_the_package():
    assert "vegaEmbed" in library()
