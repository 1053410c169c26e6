"""Charts of pages and notebooks, by Vega-Lite: one function a kind of chart, the same for both.

A notebook calls a function with rows and shows what it returns. A page carries only the rows: the specifications lie
once in the site, with the colours left to the page's style, and the library beside them, so that no network is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from textwrap import wrap
from typing import Any

import altair as alt

__all__ = [
    "PLOTS",
    "Plot",
    "bars_plot",
    "beside_plot",
    "film_plot",
    "intervals_plot",
    "launch_plot",
    "library",
    "picture",
    "ratios_plot",
    "reliability_plot",
    "slopes_plot",
    "specifications",
    "trend_plot",
    "weights_plot",
]

Rows = Sequence[Mapping[str, Any]]
COLOURS = {
    "ink": "#1d1a16",
    "soft": "#6b655b",
    "rule": "#ddd5c6",
    "accent": "#ad3f22",
    "good": "#2f6b4f",
    "bad": "#a3442f",
}
"""On light paper; a page puts its own in their place."""
PLACEHOLDERS = {name: f"var(--{name})" for name in COLOURS}
PERCENT = "~%"
CAPTION = 80
"""Characters of a line above a picture."""
SERIES = ("#ad3f22", "#2f6b4f", "#3a6ea5", "#8a6d1f", "#6b4f8a", "#4b4b4b")


@dataclass(frozen=True)
class Plot:
    """A chart of a page with what stands behind it: the rows it is drawn from and the same as a table of text."""

    name: str
    """One of PLOTS."""
    caption: str
    rows: Rows
    heads: Sequence[str] = ()
    cells: Sequence[Sequence[str]] = field(default_factory=tuple)


def film_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.LayerChart:
    """Signals of a film along its time: ``seconds``, ``brightness``, ``motion``, and at faces ``face`` (their height).

    Rows carry what is known at their second; all three are on [0, 1].
    """

    def layer(signal: str, mark: str, about: str, **how: Any) -> alt.Chart:
        chart = alt.Chart(_data(rows)).transform_filter(f"isValid(datum.{signal})")
        return getattr(chart, f"mark_{mark}")(**how).encode(
            x=alt.X("seconds:Q", axis=None, scale=alt.Scale(nice=False, zero=True)),
            y=alt.Y(f"{signal}:Q", axis=None, scale=alt.Scale(domain=[0, 1], clamp=True)),
            tooltip=[alt.Tooltip("seconds:Q", format=".1f"), alt.Tooltip(f"{signal}:Q", format=".2f", title=about)],
        )

    return _sized(
        alt.layer(
            layer("motion", "area", "motion", color=colours["rule"], interpolate="step"),
            layer("brightness", "line", "brightness", color=colours["accent"], strokeWidth=1.5),
            layer("face", "point", "tallest face", color=colours["ink"], filled=True, size=28),
        ),
        110,
    )


def intervals_plot(
    rows: Rows | None,
    colours: Mapping[str, str] = COLOURS,
    reference: float = 0.0,
    form: str = "+.0%",
    zero: bool = True,
) -> alt.LayerChart:
    """Estimates on one axis, the first row on top: ``label``, ``value``, ``lower``, ``upper``, ``strong``."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
        color=alt.condition("datum.strong", alt.value(colours["accent"]), alt.value(colours["ink"])),
        tooltip=["label:N", *(alt.Tooltip(f"{name}:Q", format=form) for name in ("value", "lower", "upper"))],
    )
    across = alt.X("lower:Q", title=None, axis=alt.Axis(format=form, tickCount=5), scale=alt.Scale(zero=zero))
    return _sized(
        alt.layer(
            _reference(rows, colours).encode(x=alt.datum(reference, type="quantitative")),
            base.mark_rule(strokeWidth=5, opacity=0.35).encode(x=across, x2="upper:Q"),
            base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q"),
        ),
        alt.Step(26),
    )


def ratios_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.LayerChart:
    """As ``intervals_plot``, of ratios whose best value is 1."""
    return intervals_plot(rows, colours, reference=1.0, form=".2f")


def slopes_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.LayerChart:
    """As ``ratios_plot`` but without zero on the axis, before the band from 0.9 to 1.1 that slopes are to lie in."""
    band = alt.Chart(_data(rows)).mark_rect(color=colours["good"], opacity=0.18).transform_aggregate(n="count()")
    ends = {name: alt.datum(value, type="quantitative") for name, value in (("x", 0.9), ("x2", 1.1))}
    marks = intervals_plot(rows, colours, reference=1.0, form=".2f", zero=False)
    return _sized(alt.layer(band.encode(**ends), *marks.layer), alt.Step(26))


def reliability_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.LayerChart:
    """What came against what was predicted: ``label``, ``predicted``, ``value``, ``lower``, ``upper``.

    The dashed line is where both are equal.
    """
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("predicted:Q", title="predicted", axis=alt.Axis(format=PERCENT, tickCount=6))
    )
    figures = [alt.Tooltip(f"{name}:Q", format=".3%") for name in ("predicted", "value", "lower", "upper")]
    across = alt.Y("lower:Q", title="observed", axis=alt.Axis(format=PERCENT, tickCount=6), scale=alt.Scale(zero=False))
    return _sized(
        alt.layer(
            base.mark_line(color=colours["soft"], strokeDash=[2, 3]).encode(y="predicted:Q"),
            base.mark_rule(strokeWidth=4, opacity=0.35, color=colours["ink"]).encode(y=across, y2="upper:Q"),
            base.mark_point(filled=True, size=60, opacity=1, color=colours["accent"]).encode(
                y="value:Q", tooltip=["label:N", *figures]
            ),
        ),
        300,
    )


def weights_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.Chart:
    """What each region favours: ``region``, ``feature``, ``weight``; red is more of the feature, blue is less.

    ``text`` is the weight with its interval; where ``unsure`` the interval holds 0 and the field is grey.
    """
    shade = alt.Scale(scheme="redblue", domainMid=0, reverse=True)
    legend = alt.Legend(title=None, format="+.2f", orient="bottom")
    chart = alt.Chart(_data(rows)).mark_rect()
    return _sized(
        chart.encode(
            x=alt.X("region:N", sort=None, title=None, axis=alt.Axis(orient="top", labelAngle=0)),
            y=alt.Y("feature:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.condition(
                "datum.unsure", alt.value(colours["rule"]), alt.Color("weight:Q", scale=shade, legend=legend)
            ),
            tooltip=["region:N", "feature:N", alt.Tooltip("text:N", title="weight")],
        ),
        alt.Step(22),
    )


def trend_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.LayerChart:
    """A difference over the days of a test: ``day``, ``variant``, ``value``, ``lower``, ``upper``."""
    figures = [alt.Tooltip(f"{name}:Q", format="+.4g") for name in ("value", "lower", "upper")]
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("day:Q", title="days since exposure", axis=alt.Axis(tickMinStep=1)),
        color=alt.Color("variant:N", title=None, scale=alt.Scale(range=list(SERIES))),
        tooltip=["variant:N", "day:Q", *figures],
    )
    return _sized(
        alt.layer(
            _reference(rows, colours).encode(y=alt.datum(0.0, type="quantitative")),
            base.mark_area(opacity=0.18).encode(y=alt.Y("lower:Q", title=None), y2="upper:Q"),
            base.mark_line(point=True).encode(y="value:Q"),
        ),
        240,
    )


def launch_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.LayerChart:
    """A share by days since a launch, dashed at 90%: ``day``, ``value``, ``lower``, ``upper``."""
    figures = [alt.Tooltip(f"{name}:Q", format=".1%") for name in ("value", "lower", "upper")]
    along = alt.X("day:Q", title="days since launch", axis=alt.Axis(tickCount=7, tickMinStep=1))
    base = alt.Chart(_data(rows)).encode(x=along)
    across = alt.Y("lower:Q", title=None, axis=alt.Axis(format=PERCENT, tickCount=6), scale=alt.Scale(zero=False))
    return _sized(
        alt.layer(
            _reference(rows, colours).encode(y=alt.datum(0.9, type="quantitative")),
            base.mark_area(opacity=0.18, color=colours["accent"]).encode(y=across, y2="upper:Q"),
            base.mark_line(point={"color": colours["accent"]}, color=colours["accent"]).encode(
                y="value:Q", tooltip=["day:Q", *figures]
            ),
        ),
        240,
    )


def bars_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.Chart:
    """Amounts in their given order: ``label``, ``value``."""
    chart = alt.Chart(_data(rows)).mark_bar(color=colours["accent"], height=12)
    return _sized(
        chart.encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
            x=alt.X("value:Q", title=None, axis=alt.Axis(tickCount=5)),
            tooltip=["label:N", alt.Tooltip("value:Q", format=",.4~g")],
        ),
        alt.Step(24),
    )


def beside_plot(rows: Rows | None, colours: Mapping[str, str] = COLOURS) -> alt.Chart:
    """Several behaviours on one line a measure, from 0 to 1: ``label``, ``value``, ``who``."""
    marks = alt.Scale(range=[colours["accent"], colours["ink"], colours["soft"]])
    shapes = alt.Scale(range=["circle", "square", "diamond"])
    title = alt.Legend(title=None, orient="bottom", columns=2)
    return _sized(
        alt.Chart(_data(rows))
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=200, grid=True)),
            x=alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("who:N", sort=None, scale=marks, legend=title),
            shape=alt.Shape("who:N", sort=None, scale=shapes, legend=title),
            tooltip=["label:N", "who:N", alt.Tooltip("value:Q", format=".3f")],
        ),
        alt.Step(24),
    )


PLOTS: dict[str, Callable[..., Any]] = {
    "film": film_plot,
    "intervals": intervals_plot,
    "ratios": ratios_plot,
    "slopes": slopes_plot,
    "reliability": reliability_plot,
    "weights": weights_plot,
    "trend": trend_plot,
    "launch": launch_plot,
    "bars": bars_plot,
    "beside": beside_plot,
}


@cache
def specifications() -> dict[str, Any]:
    """Every kind's Vega-Lite specification: its data is named "rows", its colours name the page's style."""
    # The schema's address would tell an editor what this is; a page that asks no network names none.
    found = {name: draw(None, PLACEHOLDERS).to_dict() for name, draw in PLOTS.items()}
    return {name: {key: value for key, value in spec.items() if key != "$schema"} for name, spec in found.items()}


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that defines window.vegaEmbed."""
    import vl_convert

    return vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default


def picture(shown: Plot, width: int = 560) -> str:
    """The chart as an SVG file with its caption, for places that draw none themselves."""
    import vl_convert

    chart = PLOTS[shown.name](shown.rows).properties(
        width=width, title=alt.Title(wrap(shown.caption, CAPTION), anchor="start")
    )
    return vl_convert.vegalite_to_svg(chart.properties(background="white").to_dict())


def _data(rows: Rows | None) -> alt.Data:
    return alt.Data(name="rows") if rows is None else alt.Data(values=[dict(row) for row in rows])


def _reference(rows: Rows | None, colours: Mapping[str, str]) -> alt.Chart:
    return alt.Chart(_data(rows)).mark_rule(color=colours["soft"], strokeDash=[2, 3])


def _sized(chart: Any, height: Any) -> Any:
    return chart.properties(width="container", height=height)
