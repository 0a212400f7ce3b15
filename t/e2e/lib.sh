# What the end-to-end tests share; sourced first: . "$srcdir/t/e2e/lib.sh"
#
# Gives the programs ($master, $cli, $ask), a folder of the test's own ($tmp, removed at the end together with the server), and
# the functions below. Nothing waits for a fixed time: whatever takes a while is polled up to a deadline. With E2E_BIN the
# programs of that folder are tested, else those of the build tree.
set -u
top=$(cd "${builddir:-.}" && pwd)
master=${E2E_BIN:-$top/og-master}/og-master
cli=${E2E_BIN:-$top/og-cli}/og-cli
ask=$top/t/e2e/adminask
tmp=$(mktemp -d "${TMPDIR:-/tmp}/omnigraph-e2e.XXXXXX") || exit 99
# Where the programs run: what lies in the developer's folder must not count.
cd "$tmp" || exit 99
# Nor what lies in this machine's cache.
export OMNIGRAPH_CACHE_DIR=$tmp/cache
server=
url=
bind=127.0.0.1:0
: >"$tmp/err"

cleanup() {
	: >"$tmp/halt"
	[ -z "$server" ] || kill -9 "$server" 2>/dev/null
	# A test that needs more than the folder gone says how; before waiting, for it may have started something else.
	[ -z "$(type -t undo)" ] || undo
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() {
	echo "FAIL: $*"
	echo "--- the server said"
	tail -n 40 "$tmp/err"
	exit 1
}
skip() { echo "SKIP: $*"; exit 77; }

# until_ok SECONDS COMMAND...: again and again until it succeeds; 1 after the deadline.
until_ok() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# --- graphs

people='node Person { name: String @key  age: I32? }
edge Knows: Person -> Person { since: I32? }'

# new_graph FOLDER [SCHEMA TEXT]
new_graph() {
	printf '%s\n' "${2:-$people}" >"$tmp/schema.pg"
	"$cli" init --schema "$tmp/schema.pg" "$1" >"$tmp/init" 2>&1 || fail "init $1: $(cat "$tmp/init")"
}

# verified FOLDER: the whole log, its checkpoints and segments are sound.
verified() { "$cli" verify "$1" >"$tmp/verify" 2>&1 || fail "verify $1: $(cat "$tmp/verify")"; }

# --- the server

# hand_over WORD...: as root, og-storaged runs under a user of its own where that exists, to whom the graphs among the words are given.
hand_over() {
	local word
	[ "$(id -u)" = 0 ] && id -u omnigraph-storage >/dev/null 2>&1 || return 0
	chmod 711 "$tmp"
	for word; do
		[ ! -d "$word" ] || chown -R omnigraph-storage: "$word"
	done
}

# serve GRAPH [OPTION...]: starts it and waits for the listen line; sets $server and $url.
serve() {
	: >"$tmp/out"
	hand_over "$@"
	"$master" "$@" --unauthenticated --bind "$bind" --admin-socket "$tmp/admin" >"$tmp/out" 2>"$tmp/err" </dev/null &
	server=$!
	until_ok 30 grep -q OMNIGRAPH_LISTEN_ADDR "$tmp/out" || fail "no listen line"
	url=http://$(sed -n 's/^OMNIGRAPH_LISTEN_ADDR=//p' "$tmp/out")
}

status() { "$ask" "$tmp/admin" status; }
# pid_of worker.0 | storaged | builder; empty while there is none
pid_of() { status 2>/dev/null | tr '{' '\n' | sed -n "s/.*\"name\":\"$1\".*\"pid\":\([0-9]*\).*/\1/p"; }
is_ready() { status 2>/dev/null | tr '{' '\n' | grep -q "\"name\":\"$1\".*\"state\":\"ready\""; }
# gone PID: it has ended, though its parent (init, for an orphan) may not have asked yet how.
gone() {
	case $(ps -o stat= -p "$1") in '' | Z*) return 0 ;; esac
	return 1
}
all_gone() {
	local p
	for p in $1; do
		gone "$p" || return 1
	done
}
children() { ps -o pid= --ppid "$server"; }

# replaced NAME PID: another process has that place and is ready.
replaced() {
	local p
	p=$(pid_of "$1")
	[ -n "$p" ] && [ "$p" != "$2" ] && is_ready "$1"
}

# stop [SIGNAL]: the server must leave by itself, with 0, and nobody stays behind.
stop() {
	local kids rc
	kids=$(children)
	kill "-${1:-TERM}" "$server"
	until_ok 40 gone "$server" || fail "the server does not stop"
	wait "$server"
	rc=$?
	server=
	[ $rc -eq 0 ] || fail "the server's exit code is $rc"
	all_gone "$kids" || fail "processes are left: $kids"
	[ ! -e "$tmp/admin" ] || fail "the admin socket is left"
	no_crash
}
# no_crash: no process of the server has ended by a fault of its own (SIGILL, ABRT, BUS, FPE, SEGV, SYS), nor has a sanitizer complained.
no_crash() {
	local crash
	crash=$(grep -aE 'child.exit .* signal=(4|6|7|8|11|31)$|Sanitizer|runtime error' "$tmp/err")
	[ -z "$crash" ] || fail "a process crashed: $crash"
}

check_log() { grep -q -- "$1" "$tmp/err" || fail "the log lacks: $1"; }

# --- requests

# request METHOD PATH [BODY]: sets $code; the answer lies in $tmp/headers and $tmp/body. 000: no answer.
request() {
	if [ $# -gt 2 ]; then
		code=$(curl -sS -m 60 -X "$1" -H 'Content-Type: application/json' -d "$3" -D "$tmp/headers" -o "$tmp/body" \
			-w '%{http_code}' "$url$2" 2>"$tmp/curl")
	else
		code=$(curl -sS -m 60 -X "$1" -D "$tmp/headers" -o "$tmp/body" -w '%{http_code}' "$url$2" 2>"$tmp/curl")
	fi
}
answer() { cat "$tmp/body"; }
# expect CODE METHOD PATH [BODY]
expect() {
	local want=$1
	shift
	request "$@"
	[ "$code" = "$want" ] || fail "$1 $2: $code instead of $want: $(answer) $(cat "$tmp/curl")"
}
# answers CODE METHOD PATH [BODY]: the same as a condition
answers() {
	local want=$1
	shift
	request "$@"
	[ "$code" = "$want" ]
}
has() { grep -qF -- "$1" "$tmp/body" || fail "the answer lacks $1: $(answer)"; }
has_header() { tr -d '\r' <"$tmp/headers" | grep -qix -- "$1" || fail "no header '$1': $(cat "$tmp/headers")"; }
has_no_header() { ! grep -qi -- "^$1:" "$tmp/headers" || fail "header $1: $(cat "$tmp/headers")"; }

add_person() { printf '{"query":"query add($n: String) { insert Person { name: $n } }","params":{"n":"%s"}}' "$1"; }
all_people='{"query":"query people() { match { $p: Person } return { $p.name } order { $p.name } }"}'

# names: of every person, a line each, as the server has them now
names() {
	request POST /query "$all_people"
	[ "$code" = 200 ] && grep -o '"p.name":"[^"]*"' "$tmp/body" | cut -d'"' -f4
}

# --- writers that go on until told: which keys were acknowledged, and are they all there

# writer NAME: in the background, by start_writers
writer() {
	local i=0 c
	while [ ! -e "$tmp/halt" ]; do
		i=$((i + 1))
		c=$(curl -s -m 60 -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d "$(add_person "$1-$i")" "$url/mutate")
		if [ "$c" = 200 ]; then
			echo "$1-$i" >>"$tmp/acked.$1"
		else
			echo "$c" >>"$tmp/refused.$1"
			sleep 0.05
		fi
	done
}
writers=
start_writers() {
	local n
	rm -f "$tmp/halt"
	for n in "$@"; do
		: >"$tmp/acked.$n"
		writer "$n" &
		writers="$writers $!"
	done
}
acked() { cat "$tmp"/acked.* 2>/dev/null | wc -l; }
# more_acked N: so many were acknowledged since start or the last call that succeeded
more_acked() { [ "$(acked)" -ge $((acked_before + $1)) ] && acked_before=$(acked); }
acked_before=0
stop_writers() {
	: >"$tmp/halt"
	# shellcheck disable=SC2086
	wait $writers
	writers=
}
# none_lost: every acknowledged key is there, and none twice.
none_lost() {
	names >"$tmp/names" || fail "no list of names: $code $(answer)"
	sort "$tmp/names" >"$tmp/have"
	cat "$tmp"/acked.* | sort >"$tmp/want"
	[ -s "$tmp/want" ] || fail "nothing was acknowledged"
	[ -z "$(comm -13 "$tmp/have" "$tmp/want")" ] || fail "acknowledged and lost: $(comm -13 "$tmp/have" "$tmp/want" | head -n 5)"
	[ -z "$(uniq -d "$tmp/have")" ] || fail "twice: $(uniq -d "$tmp/have" | head -n 5)"
}
