"""make audit: what the database says is told apart from a database that says nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).resolve().parents[3] / ".ci" / "audit"
FINE = {"name": "numpy", "version": "2", "vulns": []}
BAD = {"name": "old", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "private", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ([FINE], 0, "no known vulnerability in 1 packages, says pypi"),
        ([FINE, BAD, UNKNOWN], 1, "old 1: PYSEC-1, mended in 2"),
        ([FINE, UNKNOWN], 3, "does not know 1 of 2 packages"),
        ([], 3, "nothing is said"),
        (None, 3, "the service pypi did not answer (no such host)"),
    ],
)
def test_status_and_line(tmp_path, answer, status, said):
    tool = tmp_path / "pip-audit"
    given = "" if answer is None else json.dumps({"dependencies": answer})
    tool.write_text(f"#!{sys.executable}\nimport sys\nprint({given!r})\nprint('no such host', file=sys.stderr)\n")
    tool.chmod(0o755)
    done = subprocess.run(
        [sys.executable, AUDIT], capture_output=True, text=True, env={**os.environ, "AUDIT_WITH": str(tool)}
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert done.stderr.count("\n") == (status == 3)
