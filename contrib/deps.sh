#!/bin/sh
# Installs the Debian packages that building (and with --test, testing; with --interop, t/interop/env.sh) needs. Quiet when nothing is missing; may be run again.
set -eu

build="autoconf automake gcc make libc6-dev linux-libc-dev pkg-config libevent-dev libssl-dev libyaml-dev
libzstd-dev libsnappy-dev libseccomp-dev libpcre2-dev libxxhash-dev libcurl4-openssl-dev libexpat1-dev check"
test="curl jq python3 procps iproute2 openssl mandoc xz-utils bindfs"
interop="python3-venv openjdk-17-jre-headless maven"
demo="curl"
bench="nginx-light wrk sqlite3 python3-venv"

want=$build
for arg in "$@"; do
	case $arg in
	--test) want="$want $test" ;;
	--interop) want="$want $test $interop" ;;
	--demo) want="$want $demo" ;;
	--bench) want="$want $test $bench" ;;
	*)
		echo "usage: contrib/deps.sh [--test] [--interop] [--demo] [--bench]" >&2
		exit 2
		;;
	esac
done

missing=
for package in $want; do
	status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	[ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing" >&2
root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "contrib/deps.sh: not root and no sudo; as root run: apt-get install$missing" >&2
		exit 1
	}
	root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The list may be old or not there at all: fetched once, when a first try fails.
# shellcheck disable=SC2086
if ! $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1; then
	$root apt-get update -qq >>"$log" 2>&1 || { cat "$log" >&2; exit 1; }
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 || {
		cat "$log" >&2
		exit 1
	}
fi
