#!/usr/bin/env bash
# Disks that are really full: a file system in memory of each of these sizes is filled with entries by a server, read while
# it is full, the server killed and started on it, and then it is made larger. Nothing that was acknowledged may be lost.
# First with a server that keeps nothing back, so that the space ends wherever it ends; then with the reserve, when
# one can also log in and delete. Needs the right to mount. DEUCED_BIN is the server.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${DEUCED_BIN:-$PWD/target/release/deuced}
bare="64k 128k 192k 256k 320k 384k 512k 640k 768k 1m 1536k"
reserved="1m 5m 6m 7m"
place=$(mktemp -d)
disk=$place/disk
mkdir "$disk"
server=
finish() {
    [ -z "$server" ] || { kill -9 "$server" && wait "$server"; } 2>/dev/null || true
    umount "$disk" 2>/dev/null || true
    rm -rf --one-file-system "$place"
}
trap finish EXIT
fail() { echo "$size: $*"; cat "$place/said"; exit 1; }

mount -t tmpfs -o size=1m,mode=700 deuced "$disk" || { echo "a file system cannot be mounted here"; exit 77; }
umount "$disk"

# Starts it. Where it cannot start it has to say why.
start() {
    "$binary" serve --open --listen 127.0.0.1:0 --data "$disk" --limit deuces_per_minute=1000000 \
        --limit api_requests_per_minute=1000000 --limit thoughts_characters=20000 "${limits[@]}" >"$place/said" 2>&1 &
    server=$!
    for _ in $(seq 500); do
        url=$(sed -n 's|^Open \(http://[^ ]*\)/$|\1|p' "$place/said")
        [ -z "$url" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.02
    done
    wait "$server" || true
    server=
    grep -q '^error: ' "$place/said" || fail "it ended without words"
    ! grep -q panicked "$place/said" || fail "it panicked"
    return 1
}

# A request; its status, with the body in $place/body.
ask() {
    curl -s -m 20 -o "$place/body" -w '%{http_code}' -b "$place/jar" -c "$place/jar" -H "Origin: $url" -H 'Content-Type: application/json' \
        -X "$1" "$url$2" ${3:+-d "$3"} || echo 000
}

log() {
    ask POST /api/deuces "{\"groupIds\":[\"$group\"],\"location\":\"Home\",\"thoughts\":\"entry-$1 $long\"}"
}

long=$(printf 'long %.0s' $(seq 2400))
runs=0 entries=0 refused=0 unstarted=0
for mode in bare reserved; do
    limits=()
    [ "$mode" = reserved ] || limits=(--limit reserve_bytes=0 --limit free_bytes=0)
    for size in ${!mode}; do
        mount -t tmpfs -o "size=$size,mode=700" deuced "$disk"
        rm -f "$place/jar"
        group='' kept=0 deleted=0
        if start; then
            # The very first steps may find it full already: with words, and not more.
            if [ "$(ask POST /api/login '{"username":"Ann"}')" = 200 ] && [ "$(ask POST /api/groups '{"name":"Home"}')" = 200 ]; then
                group=$(sed 's/.*"id":"\([0-9a-f-]*\)".*/\1/' "$place/body")
                for number in $(seq 20000); do
                    status=$(log "$number")
                    [ "$status" = 200 ] || break
                    kept=$number
                    [ "$number" != 1 ] || first=$(grep -o '"entries":\[{.*' "$place/body" | grep -o '"id":"[0-9a-f-]*"' | head -1 | cut -d '"' -f 4)
                done
                [ "$status" = 507 ] || [ "$status" = 503 ] || fail "filled up and answered $status: $(cat "$place/body")"
                [ "$(ask GET "/api/groups/$group")" = 200 ] || fail "reading while it is full: $(cat "$place/body")"
                [ "$(ask GET /api/health)" != 000 ] || fail "no answer while it is full"
                refused=$((refused + 1))
                if [ "$mode" = reserved ] && [ "$kept" -gt 0 ]; then
                    [ "$(ask POST /api/login '{"username":"Ann"}')" = 200 ] || fail "login while it is full: $(cat "$place/body")"
                    [ "$(ask DELETE "/api/deuces/$first")" = 200 ] || fail "deleting while it is full: $(cat "$place/body")"
                    deleted=1
                fi
            fi
            kill -9 "$server"
            wait "$server" 2>/dev/null || true
            server=
            # On the full disk it starts, or says why not.
            if start; then
                [ -z "$group" ] || [ "$(ask GET "/api/groups/$group")" = 200 ] || fail "reading after a start on a full disk: $(cat "$place/body")"
                kill "$server"
                wait "$server" || true
                server=
            else
                unstarted=$((unstarted + 1))
            fi
        else
            unstarted=$((unstarted + 1))
        fi
        mount -o remount,size=64m "$disk"
        start || fail "it does not start with space"
        if [ -n "$group" ]; then
            [ "$(ask GET "/api/groups/$group")" = 200 ] || fail "reading with space: $(cat "$place/body")"
            { grep -o '"entry-[0-9]* ' "$place/body" || true; } | tr -dc '0-9\n' | sort -n | uniq -c | sort -n -k 2 >"$place/there"
            # The last one that was refused may be there once as well: it was not said that it is not.
            awk -v kept="$kept" -v deleted="$deleted" \
                '$1 != 1 || $2 > kept + 1 || $2 <= deleted { wrong++ } $2 <= kept { have++ } END { exit wrong > 0 || have + 0 != kept - deleted }' \
                "$place/there" || fail "of $kept entries, $deleted deleted, there are: $(cat "$place/there")"
            [ "$(log again)" = 200 ] || fail "writing with space: $(cat "$place/body")"
        fi
        kill "$server"
        wait "$server" || fail "it does not stop in order"
        server=
        runs=$((runs + 1)) entries=$((entries + kept))
        umount "$disk"
    done
done
echo
echo "a full disk: $runs of them from 64k to 7m, $refused filled up while it ran, $unstarted times it could not start there and said so; \
$entries entries acknowledged, each there once"
echo "  would have caught: a write that was acknowledged and is gone, a crash, no reading or no words while it is full, no login and no"
echo "  deleting while the reserve is there, no recovery"
