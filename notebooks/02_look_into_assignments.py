# Databricks notebook source
# MAGIC %md
# MAGIC # Look into the assignments
# MAGIC Who sees what, where regions differ, how sure that is, and why. Reads the tables that a run left behind (notebook
# MAGIC `01_walk_the_pipeline` with logs, `make demo`, or your own) and changes none of them.

# COMMAND ----------

# What is read. Every value can come from the environment.
import os

TABLES = os.environ.get("KEYART_TABLES", "build/demo/tables")
REPORT = os.environ.get("KEYART_REPORT", "")  # where thumbnails go; empty: the report's folder beside the tables

# COMMAND ----------

from pathlib import Path

import numpy as np
import pandas as pd

from keyart.config import load, with_values
from keyart.report import evidence
from keyart.report.catalogue import EVERYWHERE, Catalogue, gain, interval_of
from keyart.report.plots import PLOTS
from keyart.report.policy_page import policy_page
from keyart.report.sheet import contact_sheet
from keyart.report.site import IMAGES
from keyart.report.spark import gather, report_folder
from keyart.report.title_page import title_page
from keyart.session import open_session
from keyart.tables import Tables
from pyspark.sql import functions as F

CONF = next((folder for folder in (Path("conf"), Path("../conf")) if folder.is_dir()), None)
settings = with_values(load(CONF and CONF / "base.yaml"), {"tables": TABLES, "report.folder": REPORT})
if "spark" not in globals():  # Databricks has one
    spark = open_session(load(CONF and CONF / "local.yaml").session)
tables = Tables(spark, TABLES)


def show(frame, rows=20):
    """A few rows of a Spark or pandas frame: as Databricks shows them, or as text."""
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        display(frame.limit(rows) if hasattr(frame, "limit") else frame.head(rows))  # noqa: F821
    elif hasattr(frame, "show"):
        frame.show(rows, truncate=60)
    else:
        print(frame.head(rows).to_string(index=False))


def show_html(html):
    """Pictures: in the notebook where there is one, else into a file beside the report."""
    if "displayHTML" in globals():
        displayHTML(html)  # noqa: F821
        return
    try:
        from IPython.display import HTML, display
    except ImportError:
        sheet = report_folder(settings).parent / "contact_sheet.html"
        sheet.write_text(html)
        print(f"pictures: {sheet}")
    else:
        display(HTML(html))


def show_plot(plot):
    """A chart of the report: in the notebook where there is one, else into a file beside the report."""
    if plot is None:
        return
    print(plot.caption)
    chart = PLOTS[plot.name](plot.rows)
    if "displayHTML" in globals():
        displayHTML(chart.to_html())  # noqa: F821
        return
    try:
        from IPython.display import display
    except ImportError:
        page = report_folder(settings).parent / f"plot_{plot.name}.html"
        page.write_text(chart.to_html(inline=True))
        print(f"chart: {page}")
    else:
        display(chart)


# COMMAND ----------

# MAGIC %md
# MAGIC ## What is known
# MAGIC `gather` reads what the report reads: catalogue-sized tables whole, member-sized ones as sums and a small sample.

# COMMAND ----------

facts = gather(tables, settings, report_folder(settings))
catalogue = Catalogue(facts)
said = evidence.headline(facts)
print(f"{len(facts.titles)} titles, {len(facts.artworks)} artworks; policy {facts.policy['policy_id'] if facts.policy else 'none'}")
print(f"{said.lift} {said.sentence} ({said.lower} to {said.upper})" if said.lift else said.sentence)
print(said.claim)


def picture(artwork):
    """The thumbnail's file of an artwork, or None."""
    found = catalogue.picture(artwork)
    return report_folder(settings) / IMAGES / found.file if found else None


# COMMAND ----------

# MAGIC %md
# MAGIC ## Where regions differ
# MAGIC Each region's default artwork for each title: the gain is in reward against the title's average artwork, with the 95%
# MAGIC interval of the posterior. A region without a word of its own takes its parent's, then everyone's.

# COMMAND ----------

rows = []
for title in catalogue.titles:
    for region in [EVERYWHERE, *(region.name for region in catalogue.regions)]:
        default = catalogue.default(title["title_id"], region)
        if default is None or default.row is None:
            continue
        value, lower, upper = interval_of(default.row)
        rows.append(
            {
                "title": title["name"],
                "region": region,
                "level": default.level,
                "artwork": catalogue.number[default.artwork_id],
                "gain": round(value, 3),
                "lower": round(lower, 3),
                "upper": round(upper, 3),
                "decisions": default.row["n"],
                "why": default.row["reason"],
            }
        )
defaults = pd.DataFrame(rows, columns=["title", "region", "level", "artwork", "gain", "lower", "upper", "decisions", "why"])
show(defaults, 40)

# COMMAND ----------

# The title on which regions disagree most, as each of them sees it.
spread = defaults.groupby("title")["artwork"].nunique().sort_values(ascending=False, kind="stable")
if len(spread):
    name = spread.index[0]
    title_id = next(title["title_id"] for title in catalogue.titles if title["name"] == name)
    print(f"{name}: {spread.iloc[0]} different defaults")
    sheet = []
    for region in [EVERYWHERE, *(region.name for region in catalogue.regions)]:
        default = catalogue.default(title_id, region)
        artwork = catalogue.artwork[default.artwork_id]
        where = "everywhere" if region == EVERYWHERE else region
        sheet.append((picture(artwork), f"{where}: artwork {catalogue.number[default.artwork_id]}"))
    show_html(contact_sheet(sheet))

# COMMAND ----------

# MAGIC %md
# MAGIC What each region favours, feature by feature, and a film along its time: the report's charts, by the same functions.

# COMMAND ----------

show_plot(policy_page(catalogue)["favours"])
for title in catalogue.titles[:1]:
    for film in title_page(catalogue, title)["films"]:
        show_plot(film["plot"])

# COMMAND ----------

# MAGIC %md
# MAGIC ## How sure is that
# MAGIC In each region, the default against its runner-up. With normal posteriors, taken as independent, the chance that the
# MAGIC default is the better of the two is Phi((m1 - m2) / sqrt(s1^2 + s2^2)). Near one half, a few more days may turn it.

# COMMAND ----------

from scipy.stats import norm

contests = []
for title in catalogue.titles:
    for region in catalogue.regions:
        cell = sorted(catalogue.cell("region", region.name, title["title_id"]), key=lambda row: -row["mean"])
        if len(cell) > 1:
            first, second = cell[:2]
            spread = np.hypot(first["sd"], second["sd"])
            chance = float(norm.cdf((first["mean"] - second["mean"]) / spread)) if spread > 0 else 0.5
            contests.append({"title": title["name"], "region": region.name, "chance": round(chance, 3), "decisions": first["n"]})
contests = pd.DataFrame(contests, columns=["title", "region", "chance", "decisions"])
print(f"{(contests['chance'] > 0.95).sum()} of {len(contests)} regional defaults are better than their runner-up with 95% chance")
show(contests.sort_values("chance"), 12)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Who sees something of their own
# MAGIC Members whose best artwork differs from their segment's or region's default by enough to matter. Groups smaller than
# MAGIC `privacy.smallest_cell` are left out.

# COMMAND ----------

own = tables.read_or_empty("user_assignments")
own = own.where(F.col("policy_id") == (facts.policy["policy_id"] if facts.policy else ""))
few = settings.privacy.smallest_cell
show(
    own.where(F.size("title_ids") > 0)
    .groupBy("region")
    .agg(F.count("*").alias("members"), F.round(F.avg(F.size("title_ids")), 2).alias("artworks_of_their_own"))
    .where(F.col("members") >= few)
    .orderBy("region")
)
show(
    own.select(F.explode("reasons").alias("why"))
    .groupBy("why")
    .agg(F.count("*").alias("overrides"))
    .where(F.col("overrides") >= few)
    .orderBy(F.desc("overrides"), "why"),
    15,
)

# COMMAND ----------

# A few members: what each sees, what members of a like taste (or all) in their region are shown, and what decided.
for member in facts.members[:3]:
    print(f"{member['user_key'][:8]}, {member['region']}, {member['history']} titles watched before")
    sheet = []
    for title_id, artwork_id, value, reason in zip(
        member["title_ids"], member["artwork_ids"], member["gains"], member["reasons"]
    ):
        where = {"region": member["region"] or EVERYWHERE, "segment": member["segment"] or ""}
        default = catalogue.default(title_id, **where) if title_id in catalogue.title else None
        if default is None or artwork_id not in catalogue.artwork:
            continue
        name = catalogue.title[title_id]["name"]
        sheet.append((picture(catalogue.artwork[artwork_id]), f"{name}, for this member: {gain(value):+.1%}, {reason}"))
        sheet.append((picture(catalogue.artwork[default.artwork_id]), f"{name}, for others in {member['region']}"))
    show_html(contact_sheet(sheet[:8]))

# COMMAND ----------

# MAGIC %md
# MAGIC ## What is served, and how it is logged
# MAGIC `resolve` answers from the most specific level that knows and says which. The draw is a keyed hash: asked again, it
# MAGIC answers the same; the propensity is of what is served, exactly.

# COMMAND ----------

from datetime import date

from keyart.errors import LimitError
from keyart.policy.spark import resolver

if facts.policy:
    resolve = resolver(tables).resolve
    served = []
    for member in facts.members[:2]:
        for title_id in sorted(catalogue.artworks)[:4]:
            try:
                answer = resolve(member["user_key"], title_id, member["region"] or "unknown", epoch=date(2026, 1, 1))
            except LimitError as error:
                print(error)
                continue
            served.append(
                {
                    "member": member["user_key"][:8],
                    "title": catalogue.title[title_id]["name"],
                    "level": answer.level,
                    "artwork": catalogue.number.get(answer.artwork_id),
                    "propensity": round(answer.propensity, 4),
                    "reason": answer.reason,
                }
            )
    show(pd.DataFrame(served))

# COMMAND ----------

# MAGIC %md
# MAGIC ## What it would have been worth
# MAGIC Estimated from decisions that no model had seen. The doubly robust estimate is the one to read; where the verdict is
# MAGIC not ok, nothing is said.

# COMMAND ----------

show(
    pd.DataFrame(facts.evaluations, columns=["slice", "target", "baseline", "estimator", "metric", "lift", "lift_lower", "lift_upper", "claim", "verdict"])
    .query("estimator == 'dr' and metric == 'reward' and baseline == 'uniform'")
    .sort_values(["slice", "target"]),
    40,
)
