#!/bin/sh
# Every test, from a fresh clone: installs what is missing, builds three ways, runs the suites.
#   plain build      unit, store, end to end, sandbox, property, faults, fuzz replay
#   ASan and UBSan   unit, store, property, faults, fuzz
#   distribution     make distcheck, without the suites
# Options: --quick leaves the sanitizer build and distcheck out. TEST_DIR: where builds go (default: a temporary folder).
set -u

cd "$(dirname "$0")/.."
src=$PWD
quick=no
[ "${1:-}" != --quick ] || quick=yes
sh contrib/deps.sh --test || exit 1
dir=${TEST_DIR:-$(mktemp -d /tmp/omnigraph-test.XXXXXX)}
mkdir -p "$dir"
[ -n "${TEST_DIR:-}" ] || trap 'rm -rf "$dir"' EXIT
jobs=$(nproc)
pass=0
fail=0
skip=0
failed=

[ -x configure ] || autoreconf -fi >"$dir/autoreconf.log" 2>&1 || { tail -n 30 "$dir/autoreconf.log"; exit 1; }

# step NAME COMMAND...: runs it with its output in a log, shown in full only when it fails.
step() {
	name=$1
	shift
	start=$(date +%s)
	if "$@" >"$dir/$name.log" 2>&1; then
		echo "$name: ok ($(($(date +%s) - start)) s)"
		return 0
	fi
	echo "$name: FAILED ($(($(date +%s) - start)) s)"
	tail -n 60 "$dir/$name.log"
	failed="$failed $name"
	return 1
}

# The runner's own counts, as automake and Check print them.
count() {
	log=$1
	p=$(sed -n 's/^# PASS: *//p' "$log" | tail -n 1)
	s=$(sed -n 's/^# SKIP: *//p' "$log" | tail -n 1)
	f=$(sed -n 's/^# FAIL: *//p' "$log" | tail -n 1)
	e=$(sed -n 's/^# ERROR: *//p' "$log" | tail -n 1)
	pass=$((pass + ${p:-0}))
	skip=$((skip + ${s:-0}))
	fail=$((fail + ${f:-0} + ${e:-0}))
	sed -n '/^# TOTAL/,/^# ERROR/p' "$log" | tr '\n' ' '
	echo
	grep -E '^SKIP: ' "$log"
	cat "$(dirname "$log")/$2"/t/unit/*.log 2>/dev/null | grep -E '^[0-9]+%: Checks:' | awk -F'[:,]' '{c += $3} END {if (c) print c " checks in unit suites"}'
}

suite() {
	name=$1
	opts=$2
	flags=$3
	targets=$4
	mkdir -p "$dir/$name"
	cd "$dir/$name" || exit 1
	# shellcheck disable=SC2086
	step "$name-configure" "$src/configure" -q $opts CFLAGS="$flags" &&
		step "$name-build" make -j"$jobs" -s all &&
		{ step "$name-check" make -j"$jobs" -k check $targets || true; }
	[ ! -f "$dir/$name-check.log" ] || count "$dir/$name-check.log" "$name"
	cd "$src" || exit 1
}

suite plain "" "-O2 -g" ""
if [ "$quick" = no ]; then
	suite asan "--enable-sanitizers" "-O1 -g" "OG_SANITIZED_RUN=1"
	mkdir -p "$dir/dist"
	cd "$dir/dist" && step dist-configure "$src/configure" -q && step distcheck make -j"$jobs" -s distcheck \
		DISTCHECK_CONFIGURE_FLAGS="CFLAGS=-O0" OG_NO_SUITES=1
	cd "$src" || exit 1
fi
[ -z "$failed" ] || echo "failed:$failed"
[ -z "$failed" ] || [ "$fail" -gt 0 ] || fail=1
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" = 0 ]
