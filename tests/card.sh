#!/usr/bin/env bash
# File systems that take nothing more, or turn read-only: real ones, mounted for this. The server starts on each and lets
# people read, says what is wrong, destroys nothing, and is well again when the file system is. Then what an entry costs a
# card. Needs the right to mount, and fails without it. DEUCED_BIN is the server.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${DEUCED_BIN:-$PWD/target/release/deuced}
place=$(mktemp -d)
disk=$place/disk
mkdir "$disk"
server='' loop='' scene='' scenes=0
finish() {
    [ -z "$server" ] || { kill -9 "$server" && wait "$server"; } 2>/dev/null || true
    umount "$disk" 2>/dev/null || umount -l "$disk" 2>/dev/null || true
    [ -z "$loop" ] || losetup -d "$loop" 2>/dev/null || true
    rm -rf "$place"
}
trap finish EXIT
fail() { echo "$scene: $*"; cat "$place/said"; exit 1; }
[ -x "$binary" ] || { echo "$binary is missing: cargo build --release"; exit 1; }
for tool in losetup mkfs.ext4 mount curl prlimit python3; do command -v $tool >/dev/null || { echo "$tool is missing"; exit 1; }; done

# Starts it; it has to serve.
start() {
    : >"$place/said"
    "$binary" serve --open --listen 127.0.0.1:0 --data "$disk/data" --limit deuces_per_minute=1000000 "$@" >"$place/said" 2>&1 &
    server=$!
    for _ in $(seq 1500); do
        url=$(sed -n 's|^Open \(http://[^ ]*\)/$|\1|p' "$place/said")
        [ -z "$url" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "it does not start"
        sleep 0.02
    done
    fail "it does not listen"
}
stop() { { kill "-${1:-TERM}" "$server" && wait "$server"; } 2>/dev/null || true; server=''; }
# It has to end by itself, with this status.
ends_with() {
    local status=0
    for _ in $(seq 1500); do kill -0 "$server" 2>/dev/null || break; sleep 0.02; done
    ! kill -0 "$server" 2>/dev/null || fail "it does not end"
    wait "$server" || status=$?
    server=''
    [ "$status" = "$1" ] || fail "it ended with $status and not with $1"
}
# A request; its status, with the body in $place/body.
ask() {
    curl -s -m 20 -o "$place/body" -w '%{http_code}' -b "$place/jar" -c "$place/jar" -H "Origin: $url" \
        -H 'Content-Type: application/json' -X "$1" "$url$2" ${3:+-d "$3"} || echo 000
}
log() { ask POST /api/deuces "{\"groupIds\":[\"$group\"],\"location\":\"Home\",\"thoughts\":\"$1\"}"; }
is() { local got; got=$(ask "${@:2}"); [ "$got" = "$1" ] || fail "${*:2}: $got and not $1: $(cat "$place/body")"; }
state() { ask GET /api/health >/dev/null; sed -n 's/.*"storage":{[^}]*"state":"\([a-z]*\)".*/\1/p' "$place/body"; }
becomes() {
    for _ in $(seq 1500); do [ "$(state)" != "$1" ] || return 0; sleep 0.02; done
    fail "it is $(state) and never $1"
}
reads() { is 200 GET "/api/groups/$group"; grep -q "\"$1\"" "$place/body" || fail "'$1' is not there: $(cat "$place/body")"; }
fill() { dd if=/dev/zero of="$disk/fill" bs=4k 2>/dev/null || true; }
# Ann, a group, an entry.
live() {
    rm -f "$place/jar"
    is 200 POST /api/login '{"username":"Ann"}'
    is 200 POST /api/groups '{"name":"Home"}'
    group=$(sed 's/.*"id":"\([0-9a-f-]*\)".*/\1/' "$place/body")
    [ "$(log before)" = 200 ] || fail "an entry: $(cat "$place/body")"
}
scene() { scene=$1; scenes=$((scenes + 1)); echo "  $scene"; }

in_memory() { mount -t tmpfs -o "size=${1:-16m},mode=700" deuced "$disk"; mkdir -p "$disk/data"; }
on_ext4() {
    rm -f "$place/image"
    truncate -s 64m "$place/image"
    mkfs.ext4 -q -F "$place/image"
    loop=$(losetup -f --show "$place/image")
    mount -o noatime,errors=remount-ro "$loop" "$disk"
    mkdir -p "$disk/data"
}
off_ext4() { umount "$disk"; losetup -d "$loop"; loop=''; }

scene "the very first start finds no space"
in_memory 1m; fill
"$binary" serve --open --listen 127.0.0.1:0 --data "$disk/data" >"$place/said" 2>&1 & server=$!
ends_with 1
grep -q '^error: .*full' "$place/said" || fail "without words"
umount "$disk"

for how in TERM KILL; do
    scene "a start on a disk without any space, after SIG$how"
    in_memory; start; live
    [ -s "$disk/data/reserve" ] || fail "no reserve"
    stop "$how"; rm "$disk/data/reserve"; fill
    start
    [ "$(state)" = full ] || fail "it is $(state)"
    reads before
    [ "$(log more)" = 507 ] || fail "an entry on a full disk: $(cat "$place/body")"
    rm "$disk/fill"
    # Where it could only read it begins anew; where it could do more it goes on.
    for _ in $(seq 1500); do kill -0 "$server" 2>/dev/null && [ "$(state)" != ok ] || break; sleep 0.02; done
    if kill -0 "$server" 2>/dev/null && [ "$(state)" = ok ]; then :; else ends_with 75; start; fi
    [ "$(log after)" = 200 ] || fail "an entry with space: $(cat "$place/body")"
    reads before; reads after
    [ -s "$disk/data/reserve" ] || fail "the reserve is not kept back again"
    stop; umount "$disk"
done

scene "a start on a full disk with the reserve"
in_memory; start; live; stop KILL; fill
start; reads before
is 200 POST /api/login '{"username":"Ann"}'
rm "$disk/fill"; becomes ok
stop; umount "$disk"

for how in TERM KILL; do
    scene "a start on a file system that can only be read, after SIG$how"
    on_ext4; start; live; stop "$how"
    mount -o remount,ro "$disk"
    start
    [ "$(state)" = failing ] || fail "it is $(state)"
    reads before
    [ "$(log more)" = 503 ] || fail "an entry: $(cat "$place/body")"
    mount -o remount,rw "$disk"
    ends_with 75
    start; reads before
    [ "$(log after)" = 200 ] || fail "an entry: $(cat "$place/body")"
    stop; off_ext4
done

scene "hardly any descriptors"
in_memory
status=0
(ulimit -n 20; exec "$binary" serve --open --listen 127.0.0.1:0 --data "$disk/data") >"$place/said" 2>&1 || status=$?
[ "$status" = 1 ] && grep -q '^error: this process may open 20 files' "$place/said" || fail "it ended with $status"
umount "$disk"

scene "hardly any memory"
in_memory; start; live
# What it has, and a little more: what needs more than that is refused, or ends the process, which says why.
size=$(sed -n 's/^VmSize:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$server/status")
prlimit --pid "$server" --as=$(((size + 256) * 1024))
kept=before
for number in $(seq 200); do
    [ "$(log "small-$number")" = 200 ] || break
    kept="small-$number"
done
askers=()
for _ in $(seq 20); do curl -s -m 10 -b "$place/jar" -o /dev/null "$url/api/groups/$group" & askers+=($!); done
wait "${askers[@]}" || true
if kill -0 "$server" 2>/dev/null; then is 200 GET /api/health; else grep -qi 'memory' "$place/said" || fail "it ended without words"; fi
stop KILL; start; reads before; reads "$kept"
stop; umount "$disk"

scene "the kernel finds the file system damaged and lets it be read only"
on_ext4; start; live
echo 1 >"/sys/fs/ext4/${loop##*/}/trigger_fs_error"
for _ in $(seq 50); do status=$(log more); [ "$status" = 200 ] || break; done
[ "$status" = 503 ] || fail "an entry: $status"
[ "$(state)" = failing ] || fail "it is $(state)"
reads before
stop; off_ext4

echo "  what an entry costs"
python3 benches/card.py --bin "$binary" --before 1000 --entries 100 --most "${MOST_KIB:-40}"
echo
echo "a card in trouble: $scenes scenes, each with words, with reading, and without a loss"
echo "  would have caught: no start, a loop of starts, words that are missing, a write after an error, a file that was changed"
