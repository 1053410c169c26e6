"""build/bench.json: one section a bench, each written by its script, the others kept."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
"""Where benches keep what they make."""
RESULTS = ROOT / "build" / "bench.json"


def record(section: str, figures: dict[str, Any]) -> None:
    """Replace a section of the results and print it."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    results[section] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "on": machine} | figures
    fresh = RESULTS.with_suffix(".new")
    fresh.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    fresh.replace(RESULTS)
    print(json.dumps({section: figures}, indent=1))
