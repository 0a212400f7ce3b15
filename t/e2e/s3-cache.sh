#!/bin/bash
# The host's cache of segments, before a real S3 server whose log tells what it was asked: what is on the local disk is not fetched, by no
# server and no command line of this user; what does not fit is fetched again; a limit holds; a folder that does not work costs nothing but fetches.
s3=$(cd "${srcdir:-.}/t" && pwd)/s3-server
. "${srcdir:-.}/t/e2e/lib.sh"

rc=0
unset "${!AWS_@}" CACHE_DIRECTORY XDG_CACHE_HOME
"$s3" start --stock --port any --dir "$tmp/s3" 2>"$tmp/s3.log" || rc=$?
[ $rc != 77 ] || skip "no S3 server can be had here; the cache on S3 is NOT tested: $(tail -n 1 "$tmp/s3.log")"
[ $rc = 0 ] || fail "s3-server: $(cat "$tmp/s3.log")"
undo() { umount -l "$tmp/disk" 2>/dev/null; "$s3" stop --dir "$tmp/s3" >/dev/null 2>&1; }
eval "$("$s3" env --dir "$tmp/s3")"
unset AWS_ENDPOINT_URL
g=s3://$OMNIGRAPH_S3_TEST_BUCKET/g
cache=$tmp/cache
[ "$OMNIGRAPH_CACHE_DIR" = "$cache" ] || fail "the tests' cache is not in $tmp"

fetched() { grep -c '"GET [^ ]*/data/[^ ]*\.parquet' "$tmp/s3/log/rgw.log"; }
files() { find "$cache" -type f 2>/dev/null | wc -l; }
bytes() { find "$cache" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }
counter() { status | tr ',{}' '\n' | sed -n "s/.*\"cache_$1\":\([0-9]*\).*/\1/p"; }
counted() { [ "$(counter "$1")" = "$2" ] || fail "cache_$1 is $(counter "$1"), not $2"; }
# answered: reads every row of both types.
answered() {
	expect 200 POST /query '{"query":"query n() { match { $p: Person $p knows $f } return { count($p) as n, sum($f.age) as s } }"}'
	grep -q '"rows":\[{"n":6000,"s":297000.0}\]' "$tmp/body" || fail "a wrong answer: $(answer)"
}
# serve_and_count GETS [OPTION...]: what a start and a query fetch.
serve_and_count() {
	local before want=$1
	shift
	before=$(fetched)
	serve "$g" --workers 1 --poll-ms 600000 "$@"
	answered
	[ $(($(fetched) - before)) = "$want" ] || fail "$(($(fetched) - before)) segments were fetched, not $want"
}

new_graph "$g"
# rows N: names that do not compress: what is small travels in the log, and is no segment.
rows() {
	awk -v n="$1" 'BEGIN {
		srand(7)
		for (i = 0; i < n; i++) for (k = 0; k < 8; k++) name[i] = name[i] sprintf("%08x", rand() * 4294967296)
		for (i = 0; i < n; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"%s\",\"age\":%d}}\n", name[i], i % 100
		for (i = 0; i < n; i++) printf "{\"edge\":\"Knows\",\"from\":\"%s\",\"to\":\"%s\",\"data\":{\"since\":1}}\n", name[i], name[(i * 7 + 1) % n]
	}'
}
# Segments of less than the 1 MiB from which on images lie in the store: here every start needs the segments.
rows 6000 >"$tmp/rows.jsonl"
"$cli" load --data "$tmp/rows.jsonl" --mode overwrite "$g" >"$tmp/cli" 2>&1 || fail "load: $(cat "$tmp/cli")"
"$cli" optimize "$g" >"$tmp/cli" 2>&1 || fail "optimize: $(cat "$tmp/cli")"
segments=$(files)
[ "$segments" -ge 2 ] || fail "what was put is not kept: $segments files"
[ "$(stat -c %a "$cache")" = 700 ] || fail "the folder may be entered by others"

# --- a start with what this host has put itself
serve_and_count 0
counted misses 0
counted damaged 0
counted hits "$segments"
counted bytes "$(bytes)"
"$cli" status --admin-socket "$tmp/admin" >"$tmp/cli" || fail "status"
grep -q "^cache $cache: $(bytes) of [1-9][0-9]* bytes, $segments hits, 0 misses\$" "$tmp/cli" || fail "status: $(cat "$tmp/cli")"
stop

# --- with an empty folder, then with a full one; the command line shares it
rm -rf "$cache"
serve_and_count "$segments"
counted misses "$segments"
[ "$(files)" = "$segments" ] || fail "$(files) files of $segments segments"
stop
serve_and_count 0
stop
before=$(fetched)
"$cli" query --uri "$g" -e 'query n() { match { $p: Person } return { count($p) as n } }' --json >"$tmp/cli" 2>&1 || fail "query: $(cat "$tmp/cli")"
grep -q 6000 "$tmp/cli" || fail "a wrong answer: $(cat "$tmp/cli")"
[ "$(fetched)" = "$before" ] || fail "the command line fetched what is there"

# --- spoiled files: one at rest, one while a server runs that has compared it
spoil() {
	local file
	file=$(find "$cache" -type f | sort | head -n 1)
	printf '\377\376\375\374' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc 2>/dev/null
}
spoil
serve_and_count 1
counted damaged 1
counted misses 1
! grep -q 'job.failed' "$tmp/err" || fail "damage of the graph was reported"
stop
serve_and_count 0
stop
truncate -s 10 "$(find "$cache" -type f | head -n 1)"
: >"$cache/.tmp.left-over"
before=$(fetched)
"$cli" query --uri "$g" -e 'query n() { match { $p: Person $p knows $f } return { count($p) as n } }' --json >"$tmp/cli" 2>&1 ||
	fail "query: $(cat "$tmp/cli")"
[ $(($(fetched) - before)) = 1 ] || fail "$(($(fetched) - before)) segments were fetched for a file that was cut"
[ "$(files)" = "$segments" ] || fail "$(files) files of $segments segments: $(ls -la "$cache")"

# --- og-storaged killed in the middle of a fetch leaves nothing that is used, or counts
rm -rf "$cache"
serve "$g" --workers 1 --poll-ms 600000
for _ in 1 2 3; do
	curl -sS -m 60 -o /dev/null -d '{"query":"query n() { match { $p: Person } return { count($p) as n } }"}' "$url/query" 2>/dev/null &
	asker=$!
	pid=$(pid_of storaged)
	[ -z "$pid" ] || kill -9 "$pid"
	wait "$asker"
done
until_ok 60 answers 200 POST /query '{"query":"query n() { match { $p: Person } return { count($p) as n } }"}' || fail "no answer: $code $(answer)"
answered
stop
find "$cache" -name '.tmp.*' | grep -q . && { serve_and_count 0; stop; }
! find "$cache" -name '.tmp.*' | grep -q . || fail "left-overs stay: $(ls -la "$cache")"

# --- a limit: of less than a segment, of nothing; one that holds some of them
largest=$(find "$cache" -type f -printf '%s\n' | sort -n | tail -n 1)
for limit in 0 1K; do
	serve_and_count "$segments" --cache-bytes "$limit"
	counted hits 0
	stop
done
[ "$(files)" = 0 ] || fail "$(bytes) bytes where 1024 are allowed"
serve "$g" --workers 1 --cache-bytes "$largest"
answered
[ "$(bytes)" -le "$largest" ] || fail "$(bytes) bytes where $largest are allowed"
counted limit "$largest"
stop
! "$master" "$g" --unauthenticated --cache-bytes 1X >"$tmp/out" 2>&1 || fail "1X is no size"
grep -q "invalid value '1X' for '--cache-bytes'" "$tmp/out" || fail "no reason: $(cat "$tmp/out")"

# --- folders that do not work
for folder in /proc/nowhere "$tmp/rows.jsonl"; do
	serve_and_count "$segments" --cache-dir "$folder"
	[ "$(grep -c 'cache.trouble' "$tmp/err")" = 1 ] || fail "not one line about $folder"
	stop
done
# A disk that is full: the machine takes half of what is free as the limit, a limit that is given is believed.
mkdir -p "$tmp/disk"
if mount -t tmpfs -o size=256k omnigraph-e2e "$tmp/disk" 2>/dev/null; then
	hand_over "$tmp/disk"
	serve_and_count "$segments" --cache-dir "$tmp/disk"
	[ "$(counter limit)" -le 131072 ] || fail "a limit of $(counter limit) on a disk of 256 KiB"
	stop
	serve_and_count "$segments" --cache-dir "$tmp/disk" --cache-bytes 1G
	check_log 'cache.trouble .*No space left'
	[ -z "$(find "$tmp/disk" -type f)" ] || fail "a part of a segment is in the cache: $(ls -la "$tmp/disk")"
	stop
	umount "$tmp/disk"
else
	echo "no tmpfs can be mounted here: no disk was full"
fi

# --- images in the store: another host fetches them and not one segment; the next start has them in the folder
g=s3://$OMNIGRAPH_S3_TEST_BUCKET/images
images() { grep -c "\"$1 [^ ]*/images/index/" "$tmp/s3/log/rgw.log"; }
answered_images() {
	expect 200 POST /query '{"query":"query n() { match { $p: Person $p knows $f } return { count($p) as n, sum($f.age) as s } }"}'
	grep -q '"rows":\[{"n":20000,"s":990000.0}\]' "$tmp/body" || fail "a wrong answer: $(answer)"
}
new_graph "$g"
rows 20000 >"$tmp/rows.jsonl"
"$cli" load --data "$tmp/rows.jsonl" --mode overwrite "$g" >"$tmp/cli" 2>&1 || fail "load: $(cat "$tmp/cli")"
serve "$g" --workers 1
answered_images
number() { status | tr ',{}' '\n' | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
is_put() { [ "$(number index_puts)" -ge 3 ] && [ "$(number checkpoints)" -ge 1 ]; }
until_ok 60 is_put || fail "images are not put: $(number index_puts)"
[ "$(images PUT)" = "$(number index_puts)" ] || fail "$(images PUT) requests for $(number index_puts) images"
stop
rm -rf "$cache"
before=$(fetched)
serve "$g" --workers 1
answered_images
[ "$(fetched)" = "$before" ] || fail "segments were fetched where images are"
have=$(images GET)
[ "$have" -ge 2 ] && [ "$(number index_gets)" = "$have" ] || fail "$have requests, $(number index_gets) images"
all_kept() { [ "$(find "$cache" -type f -name '????????????????????????????????' | wc -l)" = "$have" ]; }
until_ok 30 all_kept || fail "images are not kept: $(ls -la "$cache")"
stop
serve "$g" --workers 1
answered_images
[ "$(images GET)" = "$have" ] && [ "$(number index_gets)" = "$have" ] || fail "$(($(images GET) - have)) images were fetched again"
[ "$(fetched)" = "$before" ] || fail "segments were fetched where images are"
stop
g=s3://$OMNIGRAPH_S3_TEST_BUCKET/g

# --- where it is unless somebody says so
unset OMNIGRAPH_CACHE_DIR
export CACHE_DIRECTORY=$tmp/systemd:$tmp/other
serve "$g" --workers 1 --poll-ms 600000
answered
stop
[ "$(find "$tmp/systemd" -type f | wc -l)" = "$segments" ] || fail "nothing is kept in \$CACHE_DIRECTORY"
echo "all good, $segments segments"
