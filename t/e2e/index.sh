#!/bin/bash
# Images in the store: a server puts those of quiet types there, the next one fetches them; whatever becomes of them, answers are those of the rows.
. "${srcdir:-.}/t/e2e/lib.sh"

g=$tmp/g
counter() { status | tr ',{}' '\n' | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
objects() { find "$1/index" -type f 2>/dev/null | sort; }
# The names of the objects in the newest checkpoint; of two of one place in the log it is the one with the greater id.
named() {
	local ckpt
	ckpt=$(find "$1/ckpt" -type f -printf '%f\n' 2>/dev/null | sort -t- -k1,1 -k2,2r | head -n 1)
	[ -z "$ckpt" ] || tr '{' '\n' <"$(echo "$1"/ckpt/*/"$ckpt")" | sed -n 's/^"id":"\([0-9A-Z]*\)","kind":"\([a-z]*\)".*xxh128.*/\1.\2/p' | sort
}
# kept GRAPH N: at least so many objects of this server are there, and the newest checkpoint names them all.
kept() {
	local n
	n=$(counter index_puts)
	[ "${n:-0}" -ge "$2" ] && [ "$(named "$1" | wc -l)" -ge "$2" ] && [ "$(objects "$1" | sed 's/.*\///' | sort | comm -13 - <(named "$1") | wc -l)" = 0 ]
}
questions='query q() { match { $p: Person $p knows $f } return { count($p) as n, sum($f.age) as s, max($f.name) as m } }
query q() { match { $p: Person $p.age = 7 } return { $p.name, $p.age } order { $p.name } limit 50 }
query q() { match { $p: Person $p $e: knows $f $e.since < 10 } return { count($e.since) as n, sum($e.since) as s, sum($f.age) as a } }
query q() { match { $p: Person { name: \"new\" } } return { $p.name, $p.age } }
query q() { match { $p: Person { name: \"new\" } $f knows $p } return { $f.age } order { $f.age } }
query q() { match { $p: Person { name: \"NAME\" } $p knows $f $f knows $h } return { $p.age, $f.name, $h.name } order { $h.name } }'
# asked FILE: the rows that every question is answered with.
asked() {
	local q
	: >"$1"
	while read -r q; do
		expect 200 POST /query "{\"query\":\"${q//NAME/$someone}\"}"
		sed 's/.*"rows":/"rows":/' "$tmp/body" >>"$1"
		echo >>"$1"
	done <<<"$questions"
}
same() { cmp -s "$1" "$2" || fail "$3: $(diff "$1" "$2" | head -n 6)"; }
# shows GRAPH FILE WHAT [OPTION...]: a server on it gives these answers; it goes on running.
shows() {
	local graph=$1 file=$2 what=$3
	shift 3
	serve "$graph" --workers 1 "$@"
	asked "$tmp/now"
	same "$file" "$tmp/now" "$what"
}
fetched() { [ "$(counter index_gets)" -ge "${1:-1}" ] || fail "$(counter index_gets) images came from the store"; }
lost() { [ "$(grep -c 'index.lost' "$tmp/err")" = "$1" ] || fail "$(grep -c 'index.lost' "$tmp/err") objects are said to be lost, not $1"; }
copy() { rm -rf "$2" && cp -a "$1" "$2"; }
mutate() { expect 200 POST /mutate "{\"query\":\"query m() { $1 }\"}"; }

# --- a graph of types that are worth it
new_graph "$g"
awk 'BEGIN {
	srand(7)
	for (i = 0; i < 20000; i++) for (k = 0; k < 8; k++) name[i] = name[i] sprintf("%08x", rand() * 4294967296)
	for (i = 0; i < 20000; i++) printf "{\"type\":\"Person\",\"data\":{\"name\":\"%s\",\"age\":%d}}\n", name[i], i % 100
	for (i = 0; i < 20000; i++) printf "{\"edge\":\"Knows\",\"from\":\"%s\",\"to\":\"%s\",\"data\":{\"since\":%d}}\n", name[i], name[(i * 7 + 1) % 20000], i % 77
}' >"$tmp/rows.jsonl"
name_of() { sed -n "$1s/.*\"name\":\"\([^\"]*\)\".*/\1/p" "$tmp/rows.jsonl"; }
someone=$(name_of 12)
"$cli" load --data "$tmp/rows.jsonl" --mode overwrite "$g" >"$tmp/cli" 2>&1 || fail "load: $(cat "$tmp/cli")"
[ -z "$(objects "$g")" ] || fail "a load puts objects: $(objects "$g")"
copy "$g" "$tmp/loaded"

# --- the first server builds, the next fetches
serve "$g" --workers 1
asked "$tmp/first"
[ "$(counter index_gets)" = 0 ] || fail "fetched before anything was put"
until_ok 60 kept "$g" 5 || fail "not put: $(counter index_puts) puts, $(objects "$g" | wc -l) objects, $(named "$g" | wc -l) named"
for kind in ids idx adj col; do
	objects "$g" | grep -q "\.$kind\$" || fail "no $kind among $(objects "$g")"
done
"$cli" status --admin-socket "$tmp/admin" >"$tmp/cli" || fail "status"
grep -q "^images: [0-9]* of [0-9]* bytes, [0-9]* evicted, 0 from the store, $(counter index_puts) into it\$" "$tmp/cli" || fail "status: $(cat "$tmp/cli")"
stop
verified "$g"
copy "$g" "$tmp/kept"
shows "$g" "$tmp/first" 'after a restart'
fetched 5
lost 0
[ "$(counter index_puts)" = 0 ] || fail "what is there was put again"

# --- commits above them: this server, the next one, and one that has no such objects
mutate 'insert Person { name: \"new\", age: 7 }'
mutate "update Person set { age: 8 } where name = \\\"$(name_of 20)\\\""
mutate "delete Person where name = \\\"$(name_of 30)\\\""
mutate "insert Knows { from: \\\"$someone\\\", to: \\\"new\\\", since: 3 }"
mutate "insert Knows { from: \\\"new\\\", to: \\\"$(name_of 40)\\\", since: 5 }"
mutate "delete Knows where from = \\\"$(name_of 50)\\\""
asked "$tmp/later"
! cmp -s "$tmp/first" "$tmp/later" || fail "nothing has changed"
stop
verified "$g"
copy "$g" "$tmp/bare"
rm -rf "$tmp/bare/index"
shows "$g" "$tmp/later" 'commits above the objects'
fetched 5
lost 0
stop
shows "$tmp/bare" "$tmp/later" 'a graph whose objects are gone'
[ "$(counter index_gets)" = 0 ] || fail "fetched from nowhere"
stop
verified "$tmp/bare"

# --- with little room
shows "$g" "$tmp/later" 'little room' --image-memory 1638400
fetched
stop

# --- optimize makes other layers of it all
"$cli" optimize "$g" >"$tmp/cli" 2>&1 || fail "optimize: $(cat "$tmp/cli")"
[ -z "$(named "$g")" ] || fail "the checkpoint names what nobody can ask for: $(named "$g")"
shows "$g" "$tmp/later" 'after optimize'
lost 0
until_ok 60 kept "$g" 5 || fail "not put after optimize"
stop
shows "$g" "$tmp/later" 'images of what optimize made'
fetched 5
stop
verified "$g"

# --- damaged objects: right answers, a line each, and new ones
copy "$tmp/kept" "$g"
of() { objects "$g" | grep "\.$1\$" | head -n 1; }
printf '\377\376\375\374' | dd of="$(of ids)" bs=1 seek=$(($(stat -c %s "$(of ids)") / 2)) conv=notrunc 2>/dev/null
truncate -s 100 "$(of idx)"
rm "$(of adj)"
"$cli" verify "$g" >"$tmp/verify" 2>&1 || fail "derived objects are no fault of the graph: $(cat "$tmp/verify")"
[ "$(grep -c '^note index object .*: built from rows again$' "$tmp/verify")" = 3 ] || fail "verify: $(cat "$tmp/verify")"
for why in 'missing' '100 bytes instead of' 'digest mismatch'; do
	grep -q "^note index object .*$why" "$tmp/verify" || fail "verify lacks '$why': $(cat "$tmp/verify")"
done
shows "$g" "$tmp/first" 'damaged objects'
lost 3
check_log 'index.lost .*digest mismatch'
check_log 'index.lost .*100 bytes'
until_ok 60 kept "$g" 3 || fail "not put again: $(named "$g") of $(objects "$g")"
stop
shows "$g" "$tmp/first" 'objects put again'
lost 0
fetched 5
stop
verified "$g"
! grep -q '^note' "$tmp/verify" || fail "verify: $(cat "$tmp/verify")"

# --- a folder that turns out to be read-only: it is tried once, and answers go on; images that are there are of use
mkdir "$tmp/ro"
undo() { umount -l "$tmp/ro" 2>/dev/null; }
for from in loaded kept; do
	hand_over "$tmp/$from"
	if ! { mount --bind "$tmp/$from" "$tmp/ro" && mount -o remount,ro,bind "$tmp/ro"; } 2>/dev/null; then
		echo "NOT TESTED: a read-only mount is not possible here"
		break
	fi
	serve "$tmp/ro" --workers 1
	asked "$tmp/now"
	same "$tmp/first" "$tmp/now" "read-only"
	if [ $from = loaded ]; then
		until_ok 60 grep -q 'journal.checkpoint' "$tmp/err" || fail "no word of why nothing is put"
		check_log 'index.keep .*Read-only'
		asked "$tmp/now"
		same "$tmp/first" "$tmp/now" "after the attempt"
		[ "$(counter index_puts)" = 0 ] || fail "put into a read-only folder"
	else
		fetched 5
	fi
	stop
	umount "$tmp/ro"
done

# --- og-storaged killed while they are put
for n in 1 2; do
	copy "$tmp/loaded" "$g"
	serve "$g" --workers 1
	asked "$tmp/now"
	some() { [ "$(objects "$g" | wc -l)" -ge "$n" ]; }
	until_ok 60 some || fail "nothing is put"
	pid=$(pid_of storaged)
	kill -9 "$pid"
	until_ok 60 replaced storaged "$pid" || fail "og-storaged does not come back"
	until_ok 60 answers 200 POST /query "$all_people" || fail "no answer: $code"
	asked "$tmp/now"
	same "$tmp/first" "$tmp/now" "og-storaged killed"
	stop
	verified "$g"
	shows "$g" "$tmp/first" 'after it was killed'
	lost 0
	stop
done
echo "all good, $(objects "$tmp/kept" | wc -l) objects of $(du -sk "$tmp/kept/index" | cut -f1) KiB"
