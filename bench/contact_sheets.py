"""A contact sheet of each film's artworks, to be looked at: PNGs in build/bench/sheets.

    python bench/contact_sheets.py [TABLES]

Without TABLES the films of ../shared/media are scanned first; tables that are there are used again. A cell shows an
artwork as it is stored, its rank, moment, score, shot type and flags, and frames the faces. What ranks is chosen anew.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from films import MEDIA
from keyart.jobs.ingest_catalog import run as ingest
from results import BUILD, ROOT

from keyart.config import load
from keyart.selection.closer import find_closer
from keyart.selection.spark import select_artwork
from keyart.session import open_session
from keyart.tables import Tables
from keyart.video.spark import scan_films
from keyart.vision.faces import find_model
from keyart.vision.picture import decode

SHEETS = BUILD / "sheets"
ARTWORKS = 12
ACROSS, WIDTH, HEIGHT, CAPTION = 4, 400, 225, 36


def main(root: Path) -> None:
    settings = load(ROOT / "conf" / "local.yaml", [f"tables={root}"])
    settings = replace(settings, select=replace(settings.select, artworks_per_title=ARTWORKS))
    spark = open_session(settings.session)
    try:
        tables = Tables(spark, str(root))
        if not tables.exists("candidates"):
            ingest(spark, replace(settings, catalog=replace(settings.catalog, videos=str(MEDIA))))
            scan_films(tables, settings.scan)
        select = settings.select
        model = find_model(MEDIA.parent / "models", select.yunet)
        print(select_artwork(tables, select, model, find_closer(select.text, select.cast, select.plugins)))
        draw(tables)
    finally:
        spark.stop()


def draw(tables: Tables) -> None:
    """One PNG a title."""
    SHEETS.mkdir(parents=True, exist_ok=True)
    images = tables.read("images").select("image_hash", "content")
    chosen = tables.read("artworks").where("active").join(images, on="image_hash", how="inner")
    for row in chosen.select("title_id").distinct().orderBy("title_id").collect():
        shown = chosen.where(chosen.title_id == row.title_id).orderBy("rank").collect()
        cv2.imwrite(str(SHEETS / f"{row.title_id}.png"), sheet([cell(one.asDict(recursive=True)) for one in shown]))
        print(SHEETS / f"{row.title_id}.png")


def cell(artwork: dict) -> np.ndarray:
    """(HEIGHT + CAPTION, WIDTH, 3): the picture as large as it fits, faces framed, two lines below."""
    bgr = decode(bytes(artwork["content"]))
    drawn = np.full((HEIGHT + CAPTION, WIDTH, 3), 24, np.uint8)
    if bgr is not None:
        scale = min(WIDTH / bgr.shape[1], HEIGHT / bgr.shape[0])
        size = (int(bgr.shape[1] * scale), int(bgr.shape[0] * scale))
        small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        for face in artwork["faces"]:
            corner = (int(face["x"] * size[0]), int(face["y"] * size[1]))
            opposite = (corner[0] + int(face["width"] * size[0]), corner[1] + int(face["height"] * size[1]))
            cv2.rectangle(small, corner, opposite, (80, 220, 80), 1)
        drawn[: size[1], : size[0]] = small
    first = f"{artwork['rank']}. {artwork['seconds']:.1f} s  {artwork['score']:.2f}  {artwork['shot_type']}"
    second = ", ".join([*artwork["moods"], *(f"[{flag}]" for flag in artwork["flags"])])
    for line, words in enumerate((first, second)):
        cv2.putText(drawn, words, (4, HEIGHT + 14 + 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235,) * 3, 1)
    return drawn


def sheet(cells: list[np.ndarray]) -> np.ndarray:
    """Cells in rows of ACROSS."""
    blank = [np.zeros_like(cells[0])] * (-len(cells) % ACROSS)
    full = [*cells, *blank]
    return np.vstack([np.hstack(full[k : k + ACROSS]) for k in range(0, len(full), ACROSS)])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else BUILD / "sheet-tables")
