#!/bin/sh
# Two servers on one directory of a network file system: see hosts.py.
exec python3 "${srcdir:-.}/t/prop/hosts.py" net "$@"
