#!/bin/sh
# Delta tables in a bucket of a real S3 server: see delta.py.
exec python3 "${srcdir:-.}/t/interop/delta.py" s3
