"""How long a folder of published benchmark files takes until a program could be asked: imported, read, checked, split.

    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/loading.py

Every JSON file of the folder is read in a new Python. Prints the median of five runs, in seconds of wall time, beside
its limit, which is meant for the five published test files, some 8,000 records; fails where it is over.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

FOLDER = "MODPLURAL_BENCHMARKS"
RUNS = 5
LIMIT = 3.0

SCRIPT = """
import json, sys, time
started = time.perf_counter()
from modplural.data import read_records
from modplural.data.splits import split_records
imported = time.perf_counter()
count = 0
for path in sys.argv[1:]:
    found = read_records(path)
    found.examples()
    split_records(found)
    count += len(found.rows)
ended = time.perf_counter()
print(json.dumps({"import": imported - started, "records": ended - imported, "count": count}))
"""


def load(paths: list[Path]) -> dict[str, float]:
    """Seconds for the import and for the records, and how many records there are."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, *map(str, paths)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> int:
    folder = os.environ.get(FOLDER)
    paths = sorted(Path(folder).glob("*.json")) if folder else []
    if not paths:
        state = f"{folder} holds no JSON file" if folder else "it is not set"
        print(f"Set {FOLDER} to a folder of published benchmark files; {state}.", file=sys.stderr)
        return os.EX_NOINPUT
    runs = [load(paths) for _ in range(RUNS)]
    parts = {part: statistics.median(run[part] for run in runs) for part in ("import", "records")}
    total = statistics.median(run["import"] + run["records"] for run in runs)
    print(f"{len(paths)} files, {runs[0]['count']:,} records: {total:.2f} s, limit {LIMIT:.2f} s")
    print(f"of which import {parts['import']:.2f} s, records {parts['records']:.2f} s")
    return os.EX_SOFTWARE if total > LIMIT else os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
