#!/bin/sh
# make install puts every program where it is looked for, under both names; make uninstall leaves nothing.
set -u
tmp=$(mktemp -d "${TMPDIR:-/tmp}/omnigraph-install.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
fail() { echo "FAIL: $*"; exit 1; }

# One more make below this one: without its job server, and without the list of tests that it may have been given.
run_make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "${MAKE:-make}" -s -C "$builddir" "$@" DESTDIR="$tmp" >"$tmp/log" 2>&1 || fail "make $*: $(cat "$tmp/log")"; }
# installed NAME: where that file lies
installed() { find "$tmp" -name "$1" \( -type f -o -type l \); }

run_make install
for name in og-master og-cli og-worker og-storaged; do
	file=$(installed "$name")
	[ -x "$file" ] || fail "$name is not installed"
	[ "$(stat -c %a "$file")" = 755 ] || fail "$name has mode $(stat -c %a "$file")"
done
bin=$(dirname "$(installed og-cli)")
[ "$(readlink "$bin/omnigraph")" = og-cli ] || fail "omnigraph is no link to og-cli"
[ "$(readlink "$bin/omnigraph-server")" = og-master ] || fail "omnigraph-server is no link to og-master"
# Nothing of libexec is meant for a PATH.
[ "$(dirname "$(installed og-worker)")" != "$bin" ] || fail "og-worker lies beside og-cli"
for name in omnigraph omnigraph-server og-cli og-master; do
	"$bin/$name" --version >"$tmp/version" 2>&1 || fail "$name --version: $(cat "$tmp/version")"
done
for page in "$srcdir"/man/*.[0-9]; do
	[ ! -f "$page" ] || [ -n "$(installed "$(basename "$page")")" ] || fail "$(basename "$page") is not installed"
done

# Again over what is there, then away with it.
run_make install
run_make uninstall
rm -f "$tmp/log" "$tmp/version"
left=$(find "$tmp" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
echo "installs and uninstalls"
