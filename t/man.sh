#!/bin/sh
# The manual pages are clean mdoc.
set -u
cd "$srcdir" || exit 99
command -v mandoc >/dev/null || { echo "SKIP: no mandoc; no manual page was checked"; exit 77; }
found=no
fail=0
for page in man/*.[0-9]; do
	[ -f "$page" ] || continue
	found=yes
	# What mandoc has to say about other systems' pages (a cross reference it has not installed) is no fault of ours.
	said=$(mandoc -Tlint -W style "$page" | grep -v 'referenced manual not found')
	[ -z "$said" ] || { echo "$said"; fail=1; }
done
[ $found = yes ] || { echo "SKIP: no manual pages in this tree"; exit 77; }
[ $fail = 0 ] && echo "manual pages are clean"
exit $fail
