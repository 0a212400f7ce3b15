#!/bin/sh
# The request budget, on a directory: see budget.py.
exec python3 "${srcdir:-.}/t/budget/budget.py" dir "$@"
