"""Write dist/keyart.zip, the package as ``spark-submit --py-files`` ships it: pure Python, no native packages."""

import zipfile
from pathlib import Path

__all__ = ["write_zip"]

PACKAGE = Path(__file__).resolve().parent
ENDINGS = {".py", ".html", ".css", ".js", ".typed", ".jinja"}
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_zip(target: str | Path, jobs: Path | None = None) -> Path:
    """Zip the package, with ``jobs/`` as keyart.jobs; the same sources give the same bytes."""
    jobs = jobs or PACKAGE.parents[1] / "jobs"
    entries = {f"keyart/{path.relative_to(PACKAGE).as_posix()}": path for path in PACKAGE.rglob("*")}
    entries |= {f"keyart/jobs/{path.name}": path for path in jobs.glob("*.py")}
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(entries.items()):
            if path.suffix in ENDINGS and path.is_file():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target
