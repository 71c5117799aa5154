"""How a job's process ends."""

import subprocess
import sys
from pathlib import Path

#: A kind whose library left a thread behind and a folder to remove at the end.
PROGRAM = """
import sys, tempfile, threading
from headway.jobs import process

def run(folder):
    global kept
    kept = tempfile.TemporaryDirectory(dir=folder)
    threading.Thread(target=threading.Event().wait).start()
    print("ran")

process.run_in_folder = run
process.main()
"""


def test_a_job_ends_though_a_thread_of_a_library_waits_and_what_it_registered_for_its_end_is_done(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "ran\n"
    assert list(tmp_path.iterdir()) == []
