#!/bin/bash
# omnigraph optimize, and the Delta logs: after whatever happened their files hold exactly the rows of the graph.
here=$(cd "${srcdir:-.}" && pwd)
. "${srcdir:-.}/t/e2e/lib.sh"
. "$here/t/e2e/clilib.sh"
pqrows=$top/t/e2e/pqrows
g=$tmp/g

load() { "$cli" load --data - --mode "${1:-merge}" "$g" >"$tmp/said" 2>&1 || fail "load: $(cat "$tmp/said")"; }
mutate() { "$cli" mutate --uri "$g" -e "$1" >"$tmp/said" 2>&1 || fail "mutate: $(cat "$tmp/said")"; }
# shown [LINE...]: the logs' rows are the graph's; the lines are what delta.py must say of them.
shown() {
	"$cli" export "$g" >"$tmp/export" 2>"$tmp/why" || fail "export: $(cat "$tmp/why")"
	python3 "$here/t/e2e/delta.py" "$g" "$tmp/export" "$pqrows" >"$tmp/delta" 2>&1 || fail "$(cat "$tmp/delta")"
	[ $# = 0 ] || [ "$(cat "$tmp/delta")" = "$(printf '%s\n' "$@")" ] || fail "Delta logs: $(cat "$tmp/delta") instead of $*"
}
files() { (cd "$g" && find . -type f ! -name doorbell | sort); }
last() { ls "$g/data/$1/_delta_log" | tail -n 1; }

# --- an empty graph, then rows, then nothing more to do
new_graph "$g"
run 0 optimize "$g"
out_is "optimize $g — 2 tables
  edge:Knows                               no-op
  node:Person                              no-op"
shown
for n in 1 2 3; do
	printf '{"type":"Person","data":{"name":"p%d","age":%d}}\n' $n $n | load append
done
run 0 optimize --json "$g"
for member in '"table_key": "edge:Knows"' '"table_key": "node:Person"' '"fragments_removed": 3' '"fragments_added": 1' '"committed": true' \
	'"committed": false' '"skipped": null' '"manifest_version": null' '"lance_head_version": null' "\"uri\": \"$g\""; do
	out_has "$member"
done
shown 'node:Person 1 1'
# --- how many types at a time: a number or nothing
for n in 0 -1 some 1.5 99999999999; do
	OMNIGRAPH_MAINTENANCE_CONCURRENCY=$n run 1 optimize "$g"
	err_has "OMNIGRAPH_MAINTENANCE_CONCURRENCY: '$n' is not a positive integer"
done
OMNIGRAPH_MAINTENANCE_CONCURRENCY=1 run 0 optimize "$g"
"$cli" commit list "$g" >/dev/null 2>&1
files >"$tmp/before"
run 0 optimize "$g"
out_has 'node:Person                              no-op'
files | diff "$tmp/before" - || fail 'a second optimize does something'
verified "$g"

# --- updates, deletes, edges; a type emptied
printf '%s\n' '{"type":"Person","data":{"name":"p1","age":41}}' '{"type":"Person","data":{"name":"p4"}}' \
	'{"edge":"Knows","from":"p1","to":"p2","data":{"id":"k","since":1}}' '{"edge":"Knows","from":"p2","to":"p3","data":{"id":"l"}}' | load
mutate 'query q() { delete Person where name = "p3" }'
run 0 optimize "$g"
out_has 'node:Person                              frags 3 → 1 ✓'
shown 'node:Person 2 1' 'edge:Knows 1 1'
mutate 'query q() { delete Knows where from = "p1" }'
run 0 optimize "$g"
shown 'node:Person 2 1' 'edge:Knows 2 0'

# --- many rows: the segments of a load are shown as they lie, later rows beside them; a change is not seen before the next fold
awk 'BEGIN { for (i = 0; i < 5000; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"a person with a long name, so that a bound is cut before it ends: number %d\",\"age\":%d}}\n", i, i % 90 }' | load overwrite
run 0 optimize "$g"
shown
grep -q '\\"minValues\\":{[^}]*\\"age\\":0' "$g/data/1/_delta_log/$(last 1)" || fail "no bounds: $(cat "$g/data/1/_delta_log/$(last 1)")"
echo '{"type":"Person","data":{"name":"late","age":7}}' | load append
run 0 optimize "$g"
shown
verified "$g"

# --- a large type to which rows are added is not written again; one of whose rows is changed is
small=$g
g=$tmp/large
new_graph "$g"
python3 -c 'import os
for i in range(30000): print("{\"type\":\"Person\",\"data\":{\"name\":\"%s\"}}" % os.urandom(320).hex())' >"$tmp/rows"
load append <"$tmp/rows"
run 0 optimize "$g"
largest=$(cd "$g/data/1" && ls -S ./*.parquet | head -n 1 | cut -c 3-)
[ "$(stat -c %s "$g/data/1/$largest")" -ge 8388608 ] || fail "the largest segment is small: $(ls -l "$g/data/1")"
removed() { sed -n 's/^{"remove":{"path":"\([^"]*\)".*/\1/p' "$g/data/1/_delta_log/$(last 1)"; }
echo '{"type":"Person","data":{"name":"late","age":7}}' | load append
run 0 optimize "$g"
out_has ' → 1 ✓'
! removed | grep -q "$largest" || fail 'rows that were added cost a rewriting'
head -n 1 "$tmp/rows" | load merge
run 0 optimize "$g"
removed | grep -q "$largest" || fail 'a change is not shown'
shown
run 0 optimize "$g"
out_has 'node:Person                              no-op'
g=$small

# --- refusals
fails optimize http://h/x
err_has 'optimize is only supported against local graph URIs in this milestone'
fails optimize "$tmp/none"
err_has 'graph not found'
usage optimize "$g" --uri "$g"

# --- another program's version: the log is left alone, the graph is not harmed
echo '{"commitInfo":{"operation":"WRITE"}}' >"$g/data/1/_delta_log/$(printf %020d 90).json"
echo '{"type":"Person","data":{"name":"later"}}' | load append
run 0 optimize "$g"
err_has 'warning: the Delta log of type 1 is not up to date: data/1/_delta_log, version 90: a version that another program wrote'
[ "$(last 1)" = "$(printf %020d 90).json" ] || fail 'a version was put after a foreign one'
rm "$g/data/1/_delta_log/$(printf %020d 90).json"
run 0 optimize "$g"
shown
nobody_left
echo ok
