#!/bin/sh
# Every test, from a fresh clone: installs what is missing, builds four ways, runs the suites.
#   plain     -O2: all of `make check` (unit, store, end to end, sandbox, property, faults, fuzz)
#   memory    AddressSanitizer and UBSan: unit, store, end to end, property, faults, fuzz
#   threads   ThreadSanitizer: the suites that have threads
#   dist      make distcheck without the suites; the release holds every file of the repository
# Each step prints how long it took, each suite what its own runner counted. The last line counts programs and scripts over all steps, plus one for each
# build or release that failed; the exit code is 0 when none failed.
#
# Each also names the tests that took longest; "CPU" is what they and the children that they waited for used.
#
# What the tests of t/interop read our data with (DuckDB, Arrow, deltalake, Spark; 1.2 GB) is fetched once from PyPI and Maven Central into a cache,
# t/interop/env.sh, in the background; they wait for it, and where it fails they are skipped.
#
# Options: --quick: the plain build alone, nothing fetched. --long: random tests go on ten times as long, everywhere (OG_TEST_TIME=FACTOR: so many).
# TEST_DIR=FOLDER: build there and keep it (default: a temporary folder, removed).
set -u

cd "$(dirname "$0")/.." || exit 1
src=$PWD
quick=no
case "${1:-}" in
"") ;;
--quick) quick=yes ;;
--long) export OG_TEST_TIME="${OG_TEST_TIME:-10}" ;;
*) echo "usage: contrib/test.sh [--quick | --long]" >&2; exit 2 ;;
esac
begin=$(date +%s)
sh contrib/deps.sh --test || exit 1
fetch=
dir=${TEST_DIR:-}
if [ -z "$dir" ]; then
	dir=$(mktemp -d "${TMPDIR:-/tmp}/omnigraph-test.XXXXXX") || exit 1
	trap '[ -z "$fetch" ] || kill "$fetch"; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
	trap 'exit 130' INT TERM HUP
fi
mkdir -p "$dir"
if [ $quick = no ]; then
	# Packages first: two at once would wait for each other's lock.
	sh contrib/deps.sh --interop || echo "t/interop: packages that it needs are missing"
	echo "t/interop: fetching what is not in the cache, in the background"
	{ sh t/interop/env.sh --fetch spark 2>&1 >/dev/null && echo "t/interop: at hand after $(($(date +%s) - begin)) s"; } >"$dir/fetch.log" &
	fetch=$!
fi
jobs=$(nproc)
# Many tests wait, for a disk, a timer, a process that ends.
tests_at_once=$((jobs + 1))
passed=0
failed=0
skipped=0
checks=0
wrong=

took() { echo $(($(date +%s) - $1)); }

# step NAME COMMAND...: its output goes to a log, whose end is shown when it fails.
step() {
	step=$1
	shift
	start=$(date +%s)
	if "$@" >"$dir/$step.log" 2>&1 </dev/null; then
		echo "$step: ok, $(took "$start") s"
		return 0
	fi
	echo "$step: FAILED, $(took "$start") s"
	tail -n 40 "$dir/$step.log"
	wrong="$wrong $step"
	return 1
}
broken() { failed=$((failed + 1)); }

# summary FOLDER LOG: what the runners said. Check's line for each unit suite, what failed or was skipped and why, automake's counts.
summary() {
	for trs in $(cd "$1" && find t -name '*.trs' | sort); do
		test=${trs%.trs}
		line=$(grep -E '^[0-9]+%: Checks: ' "$1/$test.log" | tail -n 1)
		result=$(sed -n 's/^:test-result: //p' "$1/$trs")
		[ -n "$line" ] || line=$(grep -v '^\(PASS\|FAIL\|SKIP\|ERROR\) t/' "$1/$test.log" | tail -n 1 | cut -c 1-150)
		echo "  $result $test: $line"
		n=$(echo "$line" | sed -n 's/.*Checks: \([0-9]*\),.*/\1/p')
		checks=$((checks + ${n:-0}))
		case $result in
		FAIL | ERROR) grep -v "^$line$" "$1/$test.log" | tail -n 40 | sed 's/^/    | /' ;;
		esac
	done
	slowest "$1"
	sed -n '/^# TOTAL/,/^# ERROR/p' "$2" | tr -s '\n ' '  '
	echo
	p=$(sed -n 's/^# PASS: *//p' "$2" | tail -n 1)
	s=$(sed -n 's/^# SKIP: *//p' "$2" | tail -n 1)
	f=$(sed -n 's/^# FAIL: *//p' "$2" | tail -n 1)
	e=$(sed -n 's/^# ERROR: *//p' "$2" | tail -n 1)
	passed=$((passed + ${p:-0}))
	skipped=$((skipped + ${s:-0}))
	failed=$((failed + ${f:-0} + ${e:-0}))
	# A run without a summary never came as far as its tests.
	[ -n "$p" ] || broken
}

# slowest FOLDER: the tests that took longest, and what all took.
slowest() {
	for trs in $(cd "$1" && find t -name '*.trs'); do
		sed -n "s,^:seconds: ,${trs%.trs} ,p" "$1/$trs"
	done | sort -k 2 -rn | awk '
		NR <= 25 { printf "  %5.1f s, CPU %5.1f s  %s\n", $2, $3, $1 }
		{ cpu += $3; n++ }
		END { if (n) printf "  CPU %.0f s in all %d\n", cpu, n }'
}

# suite NAME CONFIGURE-OPTIONS CFLAGS WHAT-TO-BUILD TARGET
suite() {
	name=$1
	echo "== $name: configure $2 CFLAGS='$3', make $5"
	mkdir -p "$dir/$name"
	cd "$dir/$name" || exit 1
	# shellcheck disable=SC2086
	if step "$name-configure" "$src/configure" -q $2 CFLAGS="$3" && step "$name-build" make -j"$jobs" -s "$4"; then
		step "$name-check" make -j"$tests_at_once" -k "$5"
		if [ -n "$fetch" ]; then
			wait "$fetch"
			fetch=
			cat "$dir/fetch.log"
		fi
		summary "$dir/$name" "$dir/$name-check.log"
	else
		broken
	fi
	cd "$src" || exit 1
}

# complete: every file that the repository holds is in the release, but for what concerns the repository itself.
complete() {
	release=$(echo "$dir"/dist/omnigraph-*.tar.xz)
	[ -f "$release" ] || { echo "there is no release"; return 1; }
	tar -tf "$release" | sed 's,^[^/]*/,,' | sort >"$dir/released"
	git ls-files | grep -vE '^(\.gitignore|\.gitattributes|\.ci/.*|\.clang-format)$' | sort | comm -23 - "$dir/released" >"$dir/missing"
	[ ! -s "$dir/missing" ] || { echo "not in the release:"; cat "$dir/missing"; return 1; }
}

release() {
	echo "== dist: make distcheck"
	mkdir -p "$dir/dist"
	cd "$dir/dist" || exit 1
	if step dist-configure "$src/configure" -q &&
		step distcheck make -j"$jobs" -s distcheck OG_NO_SUITES=1 DISTCHECK_CONFIGURE_FLAGS="CFLAGS=-O0"; then
		passed=$((passed + 1))
		sed -n '/^# TOTAL/,/^# ERROR/p' "$dir/distcheck.log" | tr -s '\n ' '  '
		echo
	else
		broken
	fi
	cd "$src" || exit 1
	if ! git ls-files >/dev/null 2>&1; then
		echo "dist-complete: SKIPPED: no git repository here; whether the release is complete was not compared"
		skipped=$((skipped + 1))
	elif step dist-complete complete; then
		passed=$((passed + 1))
	else
		broken
	fi
}

step autoreconf autoreconf -fi || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
suite plain "" "-O2 -g" all check
if [ $quick = no ]; then
	suite memory "--enable-sanitizers" "-O1 -g1" all check-memory
	suite threads "--enable-sanitizers=thread" "-O1 -g1" lib/libog.a check-threads
	release
fi
echo "== $(took "$begin") s, $checks checks in suites of Check"
[ -z "$wrong" ] || echo "failed steps:$wrong"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
