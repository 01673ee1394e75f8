"""How much CPU time a user pays before anything happens: `import modplural`, and `modplural --help`.

    .venv/bin/python benchmarks/startup.py

Prints the median of seven runs of each beside its limit, in seconds of CPU, and fails where one is over.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile

RUNS = 7
CASES = {
    "import modplural": ("import modplural", 0.15),
    "modplural --help": ("import sys; sys.argv[1:] = ['--help']; from modplural.cli import main; main()", 0.4),
}
"""What is run, and its limit."""


def cpu_seconds(script: str, folder: str) -> float:
    """CPU time, user and system, of a new Python that runs a script."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    over = False
    with tempfile.TemporaryDirectory() as folder:
        for name, (script, limit) in CASES.items():
            median = statistics.median(cpu_seconds(script, folder) for _ in range(RUNS))
            over |= median > limit
            print(f"{name:20}{median:6.3f} s of CPU, limit {limit:.2f} s")
    return os.EX_SOFTWARE if over else os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
