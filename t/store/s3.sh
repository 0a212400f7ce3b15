#!/bin/bash
# The store conformance suite on a real S3 server, Ceph on 127.0.0.1 (t/s3-server): as AWS answers, and as stock Ceph does.
# Skipped where Ceph cannot be installed: that takes root, Debian's packages and a network.
set -u
dir=$(mktemp -d "${TMPDIR:-/tmp}/og-s3-test.XXXXXX") || exit 99
server="$srcdir/t/s3-server"
trap '"$server" stop --dir "$dir/s3" >/dev/null 2>&1; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

# Ten ports in a row that nobody uses.
free_port() {
	local port=$((20000 + $$ % 1000 * 10)) i
	for ((i = 0; i < 100; i++, port += 10)); do
		ss -Htln "sport >= :$port and sport <= :$((port + 9))" | grep -q . || { echo $port; return; }
	done
}

run() {
	if ! "$server" start --dir "$dir/s3" --port "$port" "$@" 2>"$dir/start.log"; then
		cat "$dir/start.log"
		echo "SKIPPED: no S3 server here, the S3 store is NOT tested"
		exit 77
	fi
	eval "$("$server" env --dir "$dir/s3")"
	# One of the two names must do.
	unset AWS_ENDPOINT_URL
	OG_TEST_S3_URI="s3://$OMNIGRAPH_S3_TEST_BUCKET/${2:-plain}" "$builddir/t/store/test_store" || failed=1
	"$server" stop --dir "$dir/s3"
}

failed=0
port=$(free_port)
echo "as AWS answers:"
run
echo "stock Ceph:"
run --stock
exit $failed
