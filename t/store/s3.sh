#!/bin/bash
# The store conformance suite on a real S3 server, Ceph on 127.0.0.1 (t/s3-server): as AWS answers, and as stock Ceph does.
# Skipped where Ceph cannot be installed: that takes root, Debian's packages and a network.
set -u
dir=$(mktemp -d "${TMPDIR:-/tmp}/og-s3-test.XXXXXX") || exit 99
server="$srcdir/t/s3-server"
trap '"$server" stop --dir "$dir/s3" >/dev/null 2>&1; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP
failed=0

# run NAME [OPTION...]
run() {
	local name=$1 rc=0
	shift
	echo "$name:"
	"$server" start --dir "$dir/s3" --port any "$@" || rc=$?
	if [ $rc = 77 ]; then
		echo "SKIPPED: no S3 server can be had here; the S3 store is NOT tested"
		exit 77
	fi
	[ $rc = 0 ] || exit 1
	eval "$("$server" env --dir "$dir/s3")"
	# The one name must do.
	unset AWS_ENDPOINT_URL
	OG_TEST_S3_URI="s3://$OMNIGRAPH_S3_TEST_BUCKET/$name" "$builddir/t/store/test_store" || failed=1
	"$server" stop --dir "$dir/s3"
}

# With sanitizers stock Ceph alone: what the client does where the store answers as AWS does, others run there (t/prop/s3.py).
grep -q '^#define OG_SANITIZED' "$builddir/config.h" || run repaired
run stock --stock
exit $failed
