"""What importing CrewAI leaves on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_worker_that_is_killed_after_the_import_leaves_no_folder_behind(tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "HOME_BEFORE": str(home),
        "TMPDIR": str(scratch),
    }
    environment.pop("CREWAI_STORAGE_DIR", None)
    code = "import os, tools.framework; os._exit(os.environ['HOME'] != os.environ['HOME_BEFORE'])"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=170)
    assert list(scratch.iterdir()) == []
    assert list(home.iterdir()) == []
