"""Find Java before anything needs it; also run by ``make`` with the system's Python, before there is an environment."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from keyart.errors import SetupError

__all__ = ["check_java"]

VERSIONS = (17, 21)
WANTED = "install a JDK 17 or 21 (Debian: apt-get install openjdk-17-jdk-headless) or set JAVA_HOME"


def check_java() -> int:
    """Java's major version; SetupError says what to install where it is missing or neither 17 nor 21."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not Path(java).exists():
        raise SetupError(f"no Java found{f' in JAVA_HOME={home}' if home else ''}; {WANTED}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{java} does not run ({error}); {WANTED}") from error
    found = re.search(r'version "(\d+)(?:\.(\d+))?', said.stderr + said.stdout)
    if not found:
        raise SetupError(f"{java} does not tell its version; {WANTED}")
    major = int(found[2]) if found[1] == "1" and found[2] else int(found[1])
    if major not in VERSIONS:
        raise SetupError(f"{java} is Java {major}, Spark 4.2 needs 17 or 21; {WANTED}")
    return major


if __name__ == "__main__":
    try:
        check_java()
    except SetupError as error:
        sys.exit(f"keyart: {error}")
