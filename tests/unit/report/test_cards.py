"""Cards say what the tables say, and nothing the tables hold becomes markup."""

from dataclasses import replace

import pytest

from keyart.report.cards import card_files, conduct, known_faults, model_card, policy_card, segments
from keyart.report.catalogue import Catalogue
from keyart.report.policy_page import policy_page
from keyart.report.site import write_site


def measured(measure, value, behaviour="user", segment="*", limit=None, within=None, half=0.01):
    return {
        "policy_id": "p", "behaviour": behaviour, "measure": measure, "segment": segment, "value": value,
        "lower": value - half, "upper": value + half, "members": 400, "limit": limit, "within": within,
    }  # fmt: skip


@pytest.fixture
def facts(whole):
    measures = [
        measured("abandonment", 0.31, limit="..0.3", within=False),
        measured("abandonment", 0.25, "logged"),
        measured("abandonment", 0.26, "uniform"),
        measured("abandonment", 0.4, segment="region=SE"),
        measured("value", 0.02, segment="region=<script>"),
        measured("calibration", 0.6),
        measured("gain_lost", 0.05, "limits"),
    ]
    spec = '{"limits": ["rights by region"], "exploration": {"kind": "best"}}'
    models = '{"response": {"name": "keyart-response", "version": "3", "run_id": "r"}, "content": "c"}'
    policy = {**whole.policy, "spec": spec, "models": models, "data_versions": '{"taste": 4}'}
    return replace(whole, policy=policy, measures=measures)


def test_the_policy_card(facts):
    card = policy_card(facts)
    for said in (
        "# Policy p", "rights by region", "abandonment ..0.3: not kept", "gain lost: 0.05",
        "table taste, Delta version 4",
        "+12.0%", "+8.0% to +16.0%", "neither read nor inferred", "outside its limit: abandonment of",
        "0.31 | 0.3 to 0.32 | 0.25 | 0.26",
        "gains are promised too large: observed over promised is 0.6 (0.59 to 0.61)",
    ):  # fmt: skip
        assert said in card.replace("\\", ""), said
    assert "<script>" not in card, "a region's name is text"


def test_the_model_card(facts):
    card = model_card(facts)
    assert "| response | keyart-response | 3 | r |" in card
    assert "recommending titles" in card and "ALS" in card


def test_segments_and_conduct(facts):
    assert [line["name"] for line in conduct(facts)] == ["abandonment", "calibration"]
    found = segments(facts)
    assert found["heads"] == ["value", "abandonment", "calibration"]
    assert found["lines"][1] == {"name": "region SE", "cells": ["–", "0.4 (0.39 to 0.41)", "–"]}


def test_faults_name_what_is_missing(whole, facts):
    assert any("cast prominence" in fault for fault in known_faults(facts))
    bare = known_faults(replace(whole, evaluations=(), measures=()))
    assert any("not evaluated" in fault for fault in bare) and any("measure-policy" in fault for fault in bare)


def test_days_of_launches_stand_on_the_page_and_in_the_card(facts, tmp_path):
    rows = [measured("launches", 5.0, "logged"), measured("cold_days", 4.0, "logged", half=2)]
    rows += [measured("launches", 5.0, "logged", "kind=title"), measured("cold_days", 4.0, "logged", "kind=title")]
    rows += [measured("cold_value", value, "logged", f"day={day:03}") for day, value in ((0, 0.8), (10, 0.97))]
    card = policy_card(replace(facts, measures=[*facts.measures, *rows]))
    assert "new titles and artworks: 90% of the eventual value: 4 days, the median (95% interval 2 to 6)" in card
    assert "new titles: " not in card, "one kind alone is all there is"
    assert "Nothing was launched" in policy_card(facts)
    page = policy_page(Catalogue(replace(facts, measures=[*facts.measures, *rows])))
    assert [row["day"] for row in page["launch_curve"].rows] == [0, 10]
    assert page["launch_curve"].cells[1][:2] == ("10", "97.0%")
    write_site(replace(facts, measures=[*facts.measures, *rows]), tmp_path)
    assert 'data-plot="launch"' in (tmp_path / "policy.html").read_text()


def test_refusals_are_told_once_with_their_slices(whole):
    thin = {**whole.evaluations[0], "lift": None, "verdict": "too few members: 3 of 50 needed"}
    rows = [{**thin, "slice": name} for name in ("region=SE", "region=JP", "region=SE")]
    assert "no estimate for region JP, region SE: too few members" in known_faults(replace(whole, evaluations=rows))


def test_cards_are_written_and_linked(facts, scanned, tmp_path):
    written = write_site(facts, tmp_path)
    assert {"cards/policy-p.md", "cards/model-p.md"} <= set(written)
    page = (tmp_path / "policy.html").read_text()
    assert 'href="cards/policy-p.md"' in page and "What it does to members" in page
    assert "<script>" not in page.split("What it does")[1].split("Cards of")[0]
    assert card_files(scanned) == {} and policy_page(Catalogue(scanned))["cards"] == []
