#!/bin/bash
# status, and two writers of one folder: the server and the command line see each other's commits.
. "${srcdir:-.}/t/e2e/lib.sh" || exit 99
. "$srcdir/t/e2e/clilib.sh" || exit 99

new_graph g
fails status --admin-socket "$tmp/nothing"
serve "$tmp/g" --workers 2
run 0 status --admin-socket "$tmp/admin"
err_empty
out_has "serving on ${url#http://}"
for name in master storaged builder worker.0 worker.1; do
	grep -q "^$name .*ready\|^$name .*serving" "$tmp/stdout" || fail "status lacks $name: $(cat "$tmp/stdout")"
done
out_has 'no-new-privs'
out_has 'branch main: commit '
run 0 status --admin-socket "$tmp/admin" --json
out_has '"role": "storaged"'
out_has '"branch": "main"'

# --- both write; each reads what the other has written
expect 200 POST /mutate "$(add_person ada)"
run 0 mutate g -e 'query add($n: String) { insert Person { name: $n } }' --params '{"n":"bob"}'
run 0 query g -e 'query p() { match { $p: Person } return { $p.name } order { $p.name } }' --format csv
out_is 'p.name
ada
bob'
for _ in 1 2 3 4; do
	[ "$(names | tr '\n' ' ')" = 'ada bob ' ] || fail "the server lacks what the command line wrote: $(answer)"
done
expect 200 POST /mutate "$(add_person cyd)"
run 0 mutate g -e 'query up($n: String) { update Person set { age: 5 } where name = $n }' --params '{"n":"cyd"}'
out_has '1 nodes'

# --- what it has done, counted
names >/dev/null
run 0 status --admin-socket "$tmp/admin"
out_has 'log: 2 operations, 2 objects put, 2 of other hosts, 0 rounds lost, 0 checkpoints, 4 objects since'
grep -q '^store: [1-9][0-9]* get, 0 head, 0 put, 2 put_absent, 0 put_match, 0 delete, 0 delete_many, 2 list$' "$tmp/stdout" || fail "the store: $(cat "$tmp/stdout")"
out_has 'HTTP: 0 requests, 0 of them repeated, 0 bytes in, 0 out'
run 0 status --admin-socket "$tmp/admin" --json
for name in commits objects_put looks look_gets queued tail checkpoints_failed store_get http_retries http_bytes_in http_bytes_out; do
	out_has "\"$name\": "
done
stop
fails status --admin-socket "$tmp/admin"
verified "$tmp/g"
nobody_left
exit 0
