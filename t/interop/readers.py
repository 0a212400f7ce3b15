"""Runs the test that imports it with the interpreter that has the programs of others; skips it where they are not."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def use(part):
    """part: "readers" or "spark", as env.sh knows them. Returns the environment's folder, once this is its interpreter."""
    folder = os.environ.get("OG_INTEROP_ENV")
    if folder:
        assert os.path.realpath(sys.prefix) == os.path.realpath(folder), f"{sys.prefix} is not {folder}"
        return folder
    found = subprocess.run(["sh", os.path.join(HERE, "env.sh"), part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = found.stdout.strip().splitlines()[-1] if found.stdout.strip() else "env.sh says nothing"
    if found.returncode != 0:
        print(last if found.returncode == 77 else f"env.sh {part}: exit code {found.returncode}: {found.stdout}")
        sys.exit(found.returncode)
    os.environ["OG_INTEROP_ENV"] = last
    sys.stdout.flush()
    python = os.path.join(last, "bin/python")
    os.execv(python, [python] + sys.argv)   # by its name it knows its environment
