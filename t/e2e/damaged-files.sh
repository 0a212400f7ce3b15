#!/bin/bash
# Damaged files: the server says which and how, refuses to write where it no longer knows the log, and shows what is whole.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/whole" 'node Person { name: String @key  age: I32? }
node Place { name: String @key }'
all_places='{"query":"query places() { match { $p: Place } return { $p.name } }"}'
serve "$tmp/whole" --workers 2
for i in 1 2 3 4 5 6; do
	expect 200 POST /mutate "$(add_person "p$i")"
done
stop
verified "$tmp/whole"

# damage NAME: a copy of the whole graph in $tmp/NAME
damage() {
	cp -a "$tmp/whole" "$tmp/$1"
	graph=$tmp/$1
}
log_object() { find "$graph/log" -type f | sort | sed -n "$1p"; }
# flip FILE OFFSET: one bit of that byte
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
# as_far_as N [TEXT]: the names p1..pN and no others are shown, and no write is taken, for a reason that names the next object
as_far_as() {
	local text=${2:-log object $(($1 + 1))}
	serve "$graph" --workers 1
	[ "$(names | tr '\n' ' ')" = "$(for i in $(seq "$1"); do printf 'p%s ' "$i"; done)" ] || fail "$graph shows: $code $(answer)"
	request POST /mutate "$(add_person new)"
	case $code in 403 | 500 | 503) ;; *) fail "$graph: a write is answered $code $(answer)" ;; esac
	has 'read-only'
	has "$text"
	stop
	if "$cli" verify "$graph" >"$tmp/verify" 2>&1; then fail "verify finds nothing in $graph: $(cat "$tmp/verify")"; fi
	grep -q "$text" "$tmp/verify" || fail "verify of $graph says: $(cat "$tmp/verify")"
}

damage flipped-head
flip "$(log_object 4)" 40
as_far_as 3

# Rows within an object: the log goes on, the type they belong to has no rows to show, the others have.
damage flipped-body
flip "$(log_object 4)" $(($(stat -c %s "$(log_object 4)") - 20))
serve "$graph" --workers 1
expect 500 POST /query "$all_people"
has 'node:Person: log object 4 body 0: digest mismatch'
expect 200 POST /query "$all_places"
expect 200 GET /snapshot
expect 200 POST /mutate '{"query":"query p() { insert Place { name: \"quay\" } }"}'
expect 200 POST /query "$all_places"
has '"rows":[{"p.name":"quay"}]'
stop
if "$cli" verify "$graph" >"$tmp/verify" 2>&1; then fail "verify finds nothing in $graph: $(cat "$tmp/verify")"; fi
grep -q 'log object 4 body 0' "$tmp/verify" || fail "verify of $graph says: $(cat "$tmp/verify")"

damage cut
truncate -s -1 "$(log_object 6)"
as_far_as 5

damage empty
truncate -s 0 "$(log_object 6)"
as_far_as 5

damage missing
rm "$(log_object 3)"
as_far_as 2

damage swapped
cp "$(log_object 4)" "$(log_object 5)"
as_far_as 4 'log object 4: stands in the place of 5'

# --- format.json: no graph can be opened without it
for how in flipped cut empty; do
	damage "format-$how"
	case $how in
	flipped) flip "$graph/format.json" 2 ;;
	cut) truncate -s 100 "$graph/format.json" ;;
	empty) truncate -s 0 "$graph/format.json" ;;
	esac
	hand_over "$graph"
	timeout 30 "$master" "$graph" --unauthenticated --bind 127.0.0.1:0 --admin-socket "$tmp/admin" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "a graph with format.json $how is served"
	grep -q '^Error: .*format.json' "$tmp/err" || fail "no reason for format.json $how"
done

# --- a checkpoint: the older one, or the log alone, does as well
damage ckpt
serve "$graph" --workers 1
for i in $(seq 40); do expect 200 POST /mutate "$(add_person "q$i")"; done
# It is written in the background.
ckpts() { find "$graph/ckpt" -type f 2>/dev/null | grep -v '\.tmp\.'; }
have_ckpt() { [ -n "$(ckpts)" ]; }
until_ok 20 have_ckpt || fail "no checkpoint after 46 commits"
stop
cp -a "$graph" "$tmp/folded"
for f in $(ckpts); do flip "$f" $(($(stat -c %s "$f") / 2)); done
serve "$graph" --workers 1
[ "$(names | wc -l)" -eq 46 ] || fail "with damaged checkpoints: $(names | wc -l) rows"
expect 200 POST /mutate "$(add_person after)"
stop

# --- a segment: the rows of its type, and no others, cannot be had; not even where the bit changes a text and nothing else
graph=$tmp/folded
segments() { find "$graph/data" -name '*.parquet'; }
[ -n "$(segments)" ] || fail "the checkpoint has folded nothing"
for f in $(segments); do
	at=$(grep -abo p3 "$f" | head -n 1 | cut -d: -f1)
	flip "$f" "${at:-$(($(stat -c %s "$f") / 2))}"
done
serve "$graph" --workers 1
expect 500 POST /query "$all_people"
has 'node:Person: segment '
has 'digest mismatch'
expect 200 POST /query "$all_places"
if "$cli" query --uri "$graph" -e 'query people() { match { $p: Person } return { $p.name } }' >"$tmp/cli" 2>&1; then
	fail "the command line reads a damaged segment: $(cat "$tmp/cli")"
fi
grep -q 'node:Person: segment .*digest mismatch' "$tmp/cli" || fail "the command line says: $(cat "$tmp/cli")"
if "$cli" verify "$graph" >"$tmp/verify" 2>&1; then fail "verify finds nothing: $(cat "$tmp/verify")"; fi
for f in $(segments); do rm "$f"; done
stop
serve "$graph" --workers 1
expect 500 POST /query "$all_people"
has 'node:Person: '
expect 200 POST /query "$all_places"
stop

echo "all good"
