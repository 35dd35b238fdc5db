#!/usr/bin/env bash
# Runs the programs of docs/devices.md as they stand there against a server: curl, the shell, Python, and the ESP32
# sketch on a stand-in for its board (tests/device/), with the real Mbed TLS. Fails at the first thing that does.
# Needs curl, openssl, python3, g++ and the headers of Mbed TLS. DEUCED_BIN names the server.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
if [ -z "${DEUCED_BIN:-}" ]; then
    cargo build --locked
    DEUCED_BIN=$root/target/debug/deuced
fi
home=$(mktemp -d)
server= liar=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$liar" ] || kill "$liar" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT
fail() { echo "$*"; cat "$home/err"; exit 1; }

# The block of code that follows a mark on the page.
block() { awk -v mark="<!-- $1 -->" '$0 == "```" { if (take == 2) exit } take == 2 { print } $0 == mark { take = 1 } take == 1 && /^```[a-z]/ { take = 2 }' docs/devices.md; }
for name in python shell sketch; do
    block "$name" >"$home/$name"
    [ -s "$home/$name" ] || fail "the page has no program under $name"
done

start() {
    rm -f "$home/data/address"
    "$DEUCED_BIN" serve --open --listen 127.0.0.1:0 --data "$home/data" >"$home/out" 2>>"$home/err" &
    server=$!
    for _ in $(seq 300); do
        [ -s "$home/data/address" ] && break
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.1
    done
    export DEUCED_URL=http://$(cat "$home/data/address")
}
start
ann=$(curl -sf -d username=Ann "$DEUCED_URL/api/login" | sed 's/.*"token":"\([^"]*\)".*/\1/')
curl -sf -H "Authorization: Bearer $ann" -d name=Home "$DEUCED_URL/api/groups" >/dev/null
made() { "$DEUCED_BIN" token add ann --device "$1" --group Home --verb log --verb read --data "$home/data"; }
value() { sed -n "s/^$2: *//p" <<<"$1"; }
entries() { curl -sf -H "Authorization: Bearer $ann" "$DEUCED_URL/api/deuces?limit=100" | grep -o '"loggedAt"' | wc -l; }
logged=0
expect() {
    logged=$((logged + $1))
    [ "$(entries)" = "$logged" ] || fail "$2: $(entries) entries, expected $logged"
    echo "ok: $2"
}

told=$(made curl)
bytes=$(curl -sfi -H "Authorization: Bearer $(value "$told" token)" -d location=Home "$DEUCED_URL/api/deuces" | tee "$home/answer" | wc -c)
[ "$bytes" -lt 200 ] || fail "the answer to curl has $bytes bytes: $(cat "$home/answer")"
expect 1 "curl, answered in $bytes bytes"

told=$(made shell)
export DEUCED_KEY_ID=$(value "$told" 'key id') DEUCED_KEY=$(value "$told" key)
bash -euo pipefail "$home/shell" | grep -q '"id"' || fail "the shell program was refused"
expect 1 "the shell program"

told=$(made Python)
export DEUCED_KEY_ID=$(value "$told" 'key id') DEUCED_KEY=$(value "$told" key)
python3 "$home/python" location=Home | grep -q '"id"' || fail "the Python program could not log"
python3 "$home/python" "location=At+the+lake&thoughts=Signed" | grep -q '"id"' || fail "the Python program could not log"
python3 "$home/python" | grep -q '"thoughts":"Signed"' || fail "the Python program could not read"
expect 2 "the Python program"
# After a restart it is told where to go on with reading.
kill "$server" && wait "$server" || fail "the server did not stop cleanly"
start
python3 "$home/python" | grep -q '"thoughts":"Signed"' || fail "the Python program could not read after a restart"
echo "ok: the Python program after a restart of the server"

told=$(made button)
build() {
    sed "s|\*HOST = \"[^\"]*\"|*HOST = \"$1\"|; s|\*KEY_ID = \"[^\"]*\"|*KEY_ID = \"$(value "$told" 'key id')\"|; s|\*KEY = \"[^\"]*\"|*KEY = \"$(value "$told" key)\"|" \
        "$home/sketch" | cat <(echo '#include <Arduino.h>') - >"$home/sketch.cpp"
    # `.ino` files get their prototypes from the Arduino tool; this one does not need any.
    g++ -std=c++17 -Wall -Wextra -Werror -I tests/device "$home/sketch.cpp" tests/device/board.cpp -lmbedcrypto -o "$2"
}
build "$DEUCED_URL" "$home/board"
mkdir "$home/flash"
for _ in 1 2 3; do "$home/board" "$home/flash" || fail "the sketch was refused"; done
expect 3 "the sketch: three presses"
"$home/board" "$home/flash" lose | tee "$home/said"
grep -q '^200 after 2 requests' "$home/said" || fail "the sketch did not send again"
expect 1 "the sketch: a lost answer is one entry"
rm "$home"/flash/*
"$home/board" "$home/flash" | tee "$home/said"
grep -q '^200 after 2 requests' "$home/said" || fail "the sketch did not go on from the counter it was told"
expect 1 "the sketch: after its flash was erased"
"$home/board" "$home/flash" | grep -q '^200 after 1 requests' || fail "the sketch did not remember the counter"
expect 1 "the sketch: the press after that"

# Somebody in between who says that the counter is used up must not be believed.
python3 - "$home/port" <<'PYTHON' &
import http.server, sys

class Liar(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"counter":9007199254740990,"message":"no","proof":"%s"}' % (b"0" * 64)
        self.send_response(409)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Liar)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(server.server_port))
import os
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
PYTHON
liar=$!
for _ in $(seq 100); do [ -s "$home/port" ] && break; sleep 0.1; done
build "http://127.0.0.1:$(cat "$home/port")" "$home/misled"
if "$home/misled" "$home/flash"; then fail "the sketch took the liar's word for a success"; fi
"$home/board" "$home/flash" | grep -q '^200 after 1 requests' || fail "the sketch believed the liar"
expect 1 "the sketch: a counter without proof is not believed"

"$DEUCED_BIN" token remove ann button --data "$home/data"
if "$home/board" "$home/flash"; then fail "a removed device can log"; fi
expect 0 "a removed device is refused"
echo "1 passed, 0 failed"
