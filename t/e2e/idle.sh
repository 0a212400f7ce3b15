#!/bin/bash
# Once nobody writes, what was written gets into segments and images are made of it, so that the next server builds nothing.
. "${srcdir:-.}/t/e2e/lib.sh"

g=$tmp/g
counter() { status | tr ',{}' '\n' | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
# Names count down with the log, and up where there are several of one place.
newest() { find "$g/ckpt" -type f -printf '%f %p\n' 2>/dev/null | sort -t- -k1,1 -k2,2r | head -n 1 | cut -d' ' -f2; }
# The newest checkpoint names images; and no rows in the log, whose layers have a `seq` beside their type.
folded() {
	local c
	c=$(newest)
	[ -n "$c" ] && grep -q '"kind":"adj"' "$c" && grep -q '"kind":"idx"' "$c" && ! grep -q '"type":[0-9]*,"seq":' "$c"
}
asked() {
	expect 200 POST /query '{"query":"query q() { match { $p: Person { name: \"new\" } $p knows{1,3} $f } return { count($f) as n, sum($f.age) as s } }"}'
	sed 's/.*"rows":/"rows":/' "$tmp/body"
}
mutate() { expect 200 POST /mutate "{\"query\":\"query m() { $1 }\"}"; }

new_graph "$g"
awk 'BEGIN {
	srand(3)
	for (i = 0; i < 40000; i++) for (k = 0; k < 8; k++) name[i] = name[i] sprintf("%08x", rand() * 4294967296)
	for (i = 0; i < 40000; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"%s\",\"age\":%d}}\n", name[i], i % 100
	for (i = 0; i < 40000; i++) printf "{\"edge\":\"Knows\",\"from\":\"%s\",\"to\":\"%s\",\"data\":{\"since\":%d}}\n", name[i], name[(i * 7 + 1) % 40000], i % 77
}' >"$tmp/rows.jsonl"
first=$(sed -n '1s/.*"name":"\([^"]*\)".*/\1/p' "$tmp/rows.jsonl")
"$cli" load --data "$tmp/rows.jsonl" --mode overwrite "$g" >"$tmp/cli" 2>&1 || fail "load: $(cat "$tmp/cli")"

serve "$g" --workers 1 --idle-ms 0
mutate 'insert Person { name: \"new\", age: 7 }'
mutate "insert Knows { from: \\\"new\\\", to: \\\"$first\\\", since: 3 }"
before=$(asked)
[ "$before" != '"rows":[{"n":0,"s":null}]}' ] || fail "nothing to be asked for"
stop

serve "$g" --workers 1 --idle-ms 200
[ "$(asked)" = "$before" ] || fail "after a restart: $(asked) instead of $before"
until_ok 60 folded || fail "the rows stay in the log: $(newest)"
[ "$(asked)" = "$before" ] || fail "on the new images: $(asked) instead of $before"
stop
"$cli" verify "$g" >"$tmp/cli" 2>&1 || fail "verify: $(cat "$tmp/cli")"

serve "$g" --workers 1
[ "$(asked)" = "$before" ] || fail "from the store: $(asked) instead of $before"
[ "$(counter index_gets)" -ge 4 ] || fail "$(counter index_gets) images came from the store"
old=$(find "$g/index" -type f)
mutate "insert Knows { from: \\\"new\\\", to: \\\"new\\\", since: 4 }"
stop

# Images of what was before are nobody's then.
serve "$g" --workers 1 --idle-ms 200
asked >/dev/null
none_left() { local f; for f in $old; do case $f in */2/*) [ ! -e "$f" ] || return 1 ;; esac; done; }
until_ok 60 none_left || fail "left in the store: $old"
stop
