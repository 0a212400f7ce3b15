#!/bin/sh
# Two servers on one bucket of a real S3 server: see hosts.py.
exec python3 "${srcdir:-.}/t/prop/hosts.py" s3 "$@"
