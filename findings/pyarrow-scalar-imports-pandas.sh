#!/usr/bin/env bash
# pyarrow 26.0.1 with pandas 3.1.1: `pyarrow.scalar(1)`, and `pyarrow.array` of a list, import pandas if it is installed.
# Python's documented way to hide a package, sys.modules["pandas"] = None, does not hide it: the compiled
# module takes the None for pandas, and both raise AttributeError ("'NoneType' object has no attribute
# '__version__'"). A finder on sys.meta_path that raises ModuleNotFoundError hides it.
# The usual guess: only from_pandas and to_pandas import it, and with None it counts as not installed. It
# matters because each worker process that makes one scalar spends several times the time and memory of
# pyarrow on pandas, and tests of code "without pandas" fail in pyarrow.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 pandas==3.1.1
cd "$folder"
cat > tried.py <<'PYTHON'
import sys

how, what = sys.argv[1:]


class Finder:
    def find_spec(self, name, *_):
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


if how == "none":
    sys.modules["pandas"] = None
elif how == "finder":
    sys.meta_path.insert(0, Finder())
import pyarrow

assert sys.modules.get("pandas") is None
try:
    pyarrow.scalar(1) if what == "scalar" else pyarrow.array([1])
    print("pandas is imported" if sys.modules.get("pandas") else "pandas is not imported")
except Exception as error:
    print(repr(error))
PYTHON
for what in scalar array; do
    for how in nothing none finder; do
        echo "$what, hidden by $how: $(venv/bin/python tried.py $how $what | tee "$what-$how")"
    done
    grep -qx "pandas is imported" "$what-nothing"
    grep -qx "AttributeError(\"'NoneType' object has no attribute '__version__'\")" "$what-none"
    grep -qx "pandas is not imported" "$what-finder"
done
