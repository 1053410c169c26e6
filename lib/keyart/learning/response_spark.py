"""train-response's ends: the taste it stands on, whether there is enough to learn from, and the registered model."""

from dataclasses import asdict
from datetime import date, timedelta

import numpy as np
from pyspark.sql import DataFrame

from keyart.errors import ModelError
from keyart.feedback.windows import Windows
from keyart.learning.decisions import Artworks, Counts
from keyart.learning.predict import response_scores
from keyart.learning.response_fit import Fitted
from keyart.report.calibration import plots_of
from keyart.report.plots import picture
from keyart.settings import Settings
from keyart.tables import Tables
from keyart.tracking import LoadedModel, ModelArrays, Tracking
from keyart.vision.features import FEATURE_NAMES, FEATURE_VERSION

__all__ = ["check_enough", "register_response", "taste_model", "told", "validation_day"]

SMALLEST_TAKES = 50
VALIDATION_SHARE = 0.25
"""Last share of the response days that chooses the strength of shrinkage."""


def validation_day(windows: Windows) -> date:
    """First day of the later slice."""
    days = (windows.t1 - windows.t0).days
    return windows.t1 - timedelta(days=max(1, round(VALIDATION_SHARE * days)) if days > 1 else 0)


def taste_model(tables: Tables, windows: Windows, settings: Settings) -> tuple[LoadedModel, DataFrame]:
    """The taste model and its vectors as of t0. ModelError where train-taste has not run for these days."""
    try:
        taste = Tracking(settings.tracking, settings.tables).load("taste")
    except ModelError as error:
        raise ModelError("there is no taste model; run train-taste first") from error
    version = str(taste.model.about["taste_version"])
    rows = tables.read("taste").where(f"as_of = DATE'{windows.t0}' AND taste_version = '{version}'")
    if rows.isEmpty():
        raise ModelError(f"table taste has no vectors of version {version} as of {windows.t0}; run train-taste first")
    return taste, rows


def check_enough(counts: Counts, windows: Windows) -> None:
    """ModelError where there is too little to learn from, or only one thing ever happened."""
    takes, shown = int(counts.takes.sum()), int(counts.n.sum())
    if takes < SMALLEST_TAKES:
        raise ModelError(
            f"{takes} takes in {shown} decisions from {windows.t0} to {windows.t1}, and train-response "
            f"needs {SMALLEST_TAKES}: ingest more logs or widen time.t0 and time.t1"
        )
    if takes == shown:
        raise ModelError(
            f"all {shown} decisions from {windows.t0} to {windows.t1} are takes, so there is nothing to learn: "
            "does the log leave out what was shown and not taken?"
        )


def register_response(
    tables: Tables, fitted: Fitted, artworks: Artworks, taste: LoadedModel, windows: Windows, settings: Settings
) -> str:
    """Log the run and register the model "response"; returns its version."""
    tracking, about = Tracking(settings.tracking, settings.tables), taste.model.about
    model = ModelArrays(
        "response",
        fitted.arrays,
        {
            "artwork_ids": artworks.artwork_ids,
            "title_ids": artworks.title_ids,
            "cells": fitted.cells.about,
            "feature_names": feature_names(artworks),
            "feature_version": artworks.feature_version,
            "taste_version": about["taste_version"],
            "learned_until": windows.t1.isoformat(),
            "member_names": about["member_names"],
            "offset_slopes": fitted.slopes,
            "regions": list(fitted.calibration.regions),
            "devices": list(fitted.contexts.devices),
            "day_parts": list(fitted.contexts.day_parts),
        },
    )
    inputs = {f"{table}_version": tables.version(table) for table in ("decisions", "artworks", "taste", "examination")}
    parameters = asdict(settings.response) | inputs | {"t0": windows.t0, "t1": windows.t1}
    parameters |= {"taste_version": about["taste_version"], "taste_model": f"{taste.name} {taste.version}"}
    with tracking.run("train-response", parameters):
        tracking.metrics(fitted.metrics)
        tracking.text("calibration.csv", fitted.calibration.lines())
        for name, shown in plots_of([row._asdict() for row in fitted.calibration.figures()]).items():
            tracking.text(f"calibration/{name}.svg", [picture(shown)])
        example = np.append(fitted.arrays["member_mean"], 0.0)[None]
        return tracking.register("response", model, example, response_scores(fitted.arrays, example))


def told(fitted: Fitted) -> str:
    """The fit in a line: of what, whether members differ, whether later days agree."""
    found, (slope, sd) = fitted.metrics, fitted.calibration.slopes[0, -1]
    member = f"member level at L2 {found['chosen_l2']:g}" if found["chosen_l2"] else "no member effect found"
    where = "devices and parts of the day differ" if len(fitted.contexts) else "no effect of device or part of the day"
    later = f"calibration slope {slope:.2f} +- {2 * sd:.2f} on later days" if np.isfinite(slope) else "no later days"
    artworks, regions = fitted.arrays["cell_mean"].shape[1], len(fitted.calibration.regions)
    rows = f"{int(found['decisions']):,} decisions, {int(found['takes']):,} takes"
    return f"{rows} of {artworks} artworks in {regions} regions; {member}; {where}; {later}"


def feature_names(artworks: Artworks) -> list[str]:
    """What the columns of the artworks' vectors are called; numbered where another version of keyart made them."""
    width = artworks.vectors.shape[1]
    if artworks.feature_version == FEATURE_VERSION and width == len(FEATURE_NAMES):
        return list(FEATURE_NAMES)
    return [f"feature {i + 1}" for i in range(width)]
