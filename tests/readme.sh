#!/usr/bin/env bash
# Runs what the README shows, as written: its first command in the background on a fresh home, then
# the block marked for it, then the same again after a restart. Fails at the first thing that does.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
home=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT

# The block of shell commands that follows a line.
block() { awk -v mark="$1" '$0 == "```" { if (take) exit } take == 2 { print } index($0, mark) { take = 1 } take == 1 && $0 == "```sh" { take = 2 }' README.md; }

first=$(block "this builds the server and starts it:")
smoke=$(block "<!-- smoke -->")
second=$(block "And this runs all tests:")
[ "$first" = "cargo run --release -- serve --open" ] || { echo "the README's first command is not what this script expects: $first"; exit 1; }
[ "$second" = "cargo test" ] || { echo "the README's second command is not what .ci/run runs: $second"; exit 1; }
[ -n "$smoke" ] || { echo "the README has no block to run"; exit 1; }

start() {
    env -u STATE_DIRECTORY XDG_DATA_HOME="$home" bash -c "exec $first" >"$home/out" 2>"$home/err" &
    server=$!
    for _ in $(seq 3000); do
        grep -q '^Open http' "$home/out" 2>/dev/null && break
        kill -0 "$server" 2>/dev/null || { cat "$home/err"; echo "the server did not start"; exit 1; }
        sleep 0.1
    done
    grep '^Open http://localhost:8222/$' "$home/out"
}

stop() {
    # cargo run replaces itself by nothing: the server is its child.
    pkill -TERM -P "$server" 2>/dev/null || kill -TERM "$server"
    wait "$server" || { cat "$home/err"; echo "the server did not stop cleanly"; exit 1; }
    server=
}

start
cd "$home"
answers=$(bash -euo pipefail -c "$smoke")
cd "$root"
printf '%s\n' "$answers"
for expected in '"ok":true' '"joinedGroup":{' '"count":1' '"emoji":"🔥"' '"thoughts":"All well."' \
    '"text":"Did you see it, @bob?"' '"type":"mention"' '"success":true'; do
    case $answers in *"$expected"*) ;; *) echo "the README's commands did not bring: $expected"; exit 1 ;; esac
done
stop

start
again=$(curl -s -b "$home/ann.txt" "localhost:8222/api/deuces?limit=10")
case $again in *'"thoughts":"All well."'*'"emoji":"🔥"'*) ;; *) echo "after a restart it is gone: $again"; exit 1 ;; esac
stop
echo "1 passed, 0 failed"
