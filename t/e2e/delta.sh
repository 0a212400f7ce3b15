#!/bin/bash
# Delta logs beside a server: it follows by itself; og-storaged killed, other writers of the log, an optimize beside it do no harm.
here=$(cd "${srcdir:-.}" && pwd)
. "${srcdir:-.}/t/e2e/lib.sh"
pqrows=$top/t/e2e/pqrows
g=$tmp/g

# As the server's user where it has one of its own: what we write here it must be able to read.
optimize() { "$cli" optimize "$g" >"$tmp/optimize.$1" 2>&1 || fail "optimize: $(cat "$tmp/optimize.$1")"; }
insert() {
	local i
	for i in $(seq "$1" "$2"); do
		curl -fsS -XPOST "$url/ingest" -H 'content-type: application/json' \
			-d "{\"mode\":\"merge\",\"data\":\"{\\\"type\\\":\\\"Person\\\",\\\"data\\\":{\\\"name\\\":\\\"p$i\\\",\\\"age\\\":$i}}\"}" >"$tmp/said" 2>&1 ||
			fail "a load: $(cat "$tmp/said")"
	done
}
shown() {
	"$cli" export "$g" >"$tmp/export" 2>"$tmp/why" || fail "export: $(cat "$tmp/why")"
	python3 "$here/t/e2e/delta.py" "$g" "$tmp/export" "$pqrows" >"$tmp/delta" 2>&1 || fail "$(cat "$tmp/delta")"
}
versions() { find "$g/data/1/_delta_log" -name '*.json' 2>/dev/null | wc -l; }
more_than() { [ "$(versions)" -gt "$1" ]; }
# rows_of_last_version: as its numRecords say.
rows_of_last() { sed -n 's/.*\\"numRecords\\":\([0-9]*\).*/\1/p' "$g/data/1/_delta_log/$(ls "$g/data/1/_delta_log" | tail -n 1)" | awk '{ n += $1 } END { print n }'; }

# --- a server follows by itself, with the checkpoint after 32 commits
new_graph "$g"
serve "$g"
insert 1 40
until_ok 20 more_than 0 || fail 'no Delta log after 40 commits'
n=$(rows_of_last)
[ "$n" -ge 32 ] && [ "$n" -le 40 ] || fail "the first version has $n rows"

# --- og-storaged killed at any moment, versions put by an optimize meanwhile
for round in 1 2 3; do
	pid=$(pid_of storaged)
	(optimize $round) &
	other=$!
	insert $((round * 100)) $((round * 100 + 20))
	kill -9 "$pid"
	wait "$other" || fail "optimize beside a server: $(cat "$tmp/optimize.$round")"
	until_ok 30 replaced storaged "$pid" || fail 'og-storaged does not come back'
	until_ok 30 curl -fsS "$url/snapshot" >"$tmp/said" 2>&1 || fail 'no answer after og-storaged was killed'
	insert $((round * 100 + 21)) $((round * 100 + 40))
done

# --- several write the log at once
for i in 1 2 3; do
	(optimize $i) &
	jobs[i]=$!
done
insert 900 920
for i in 1 2 3; do
	wait "${jobs[i]}" || fail "three at once: $(cat "$tmp/optimize.$i")"
done
optimize last
shown
stop
shown
verified "$g"

# --- a new graph in the place of the old one takes its logs over
"$cli" init --force --schema "$tmp/schema.pg" "$g" >"$tmp/init" 2>&1 || fail "init --force: $(cat "$tmp/init")"
optimize empty
shown
[ "$(rows_of_last)" = '' ] || [ "$(rows_of_last)" = 0 ] || fail 'rows of the graph before are shown'
printf '{"type":"Person","data":{"name":"new"}}\n{"edge":"Knows","from":"new","to":"new","data":{"id":"k"}}\n' |
	"$cli" load --data - --mode append "$g" >"$tmp/said" 2>&1 || fail "load: $(cat "$tmp/said")"
optimize again
shown
grep -q '^node:Person [0-9]* 1$' "$tmp/delta" || fail "the new graph: $(cat "$tmp/delta")"
echo ok
