#!/bin/sh
# The request budget, on a real S3 server: see budget.py.
exec python3 "${srcdir:-.}/t/budget/budget.py" s3 "$@"
