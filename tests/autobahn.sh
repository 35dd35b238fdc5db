#!/usr/bin/env bash
# Autobahn|Testsuite against `examples/ws_echo.rs`, which runs the server's own socket code: every case but those of
# compression (12 and 13), which the server declines, must be OK, strictly, and every close clean where it must be.
#
# The suite is a program of Python 2.7, which Debian no longer has: `PYTHON2` names one, else `python2.7`, one of
# pyenv's or `pypy` is taken. What it needs besides comes from PyPI into `target/autobahn`, once.
#
# `tests/autobahn.sh '6.*'` runs some cases alone, `WS_ECHO_BIN` names another build of the example. The reports are in
# `target/autobahn/reports`.
set -euo pipefail
cd "$(dirname "$0")/.."

cases=${1:-*}
home=$PWD/target/autobahn
mkdir -p "$home"

find_python() {
    local found
    for found in "${PYTHON2:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7 pypy; do
        # A name that is there may still lead nowhere, as pyenv's do.
        if [ -n "$found" ] && "$found" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            echo "$found"
            return
        fi
    done
    echo "no Python 2.7 is to be found; name one with PYTHON2" >&2
    return 1
}

if [ ! -x "$home/python/bin/wstest" ]; then
    # The last virtualenv that can make an environment of Python 2.7, run by any Python 3.
    python=$(find_python)
    python3 -m venv "$home/maker"
    "$home/maker/bin/pip" install --quiet 'virtualenv<20.22'
    "$home/maker/bin/virtualenv" --quiet --python "$python" "$home/python"
    # Two of its dependencies are C.
    command -v cc >/dev/null || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; }
    "$home/python/bin/pip" install --quiet 'autobahntestsuite==25.10.1' 2> >(grep -v DEPRECATION >&2)
fi

if [ -z "${WS_ECHO_BIN:-}" ]; then
    cargo build --locked --release --example ws_echo
    WS_ECHO_BIN=target/release/examples/ws_echo
fi
"$WS_ECHO_BIN" --listen 127.0.0.1:0 >"$home/echo.txt" &
echo=$!
trap 'kill "$echo" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    address=$(sed -n 's/.*\(ws:[^ ]*\).*/\1/p' "$home/echo.txt")
    [ -n "$address" ] && break
    sleep 0.05
done
[ -n "$address" ] || { echo "the echo server does not start"; exit 1; }

rm -rf "$home/reports"
cat >"$home/spec.json" <<END
{
    "outdir": "$home/reports",
    "servers": [{"agent": "deuced", "url": "$address"}],
    "cases": ["$cases"],
    "exclude-cases": ["12.*", "13.*"],
    "exclude-agent-cases": {}
}
END
begin=$SECONDS
# A suite that hangs has found something, too.
timeout 600 "$home/python/bin/wstest" -m fuzzingclient -s "$home/spec.json" >"$home/wstest.txt" 2>&1 ||
    { tail -n 20 "$home/wstest.txt"; echo "the suite did not come to its end"; exit 1; }

python3 - "$home/reports/index.json" "$((SECONDS - begin))" "$cases" <<'END'
import json
import sys

path, seconds, wanted = sys.argv[1:]
results = json.load(open(path))["deuced"]
# Where the suite only looks at what a server does: whether data after a close is noticed, and two codes that the
# standard leaves open.
informational = {"7.1.6", "7.13.1", "7.13.2"}
bad = []
for case, result in results.items():
    expected = "INFORMATIONAL" if case in informational else "OK"
    if (result["behavior"], result["behaviorClose"]) != (expected, expected):
        bad.append(f"{case}: {result['behavior']}, close {result['behaviorClose']}")
# Fewer cases would mean that the suite was not whole.
if wanted == "*" and len(results) < 301:
    bad.append(f"only {len(results)} cases were run")
for line in bad:
    print(line)
passed = sum(result["behavior"] == "OK" for result in results.values())
print(f"Autobahn: {len(results)} cases in {seconds} s, {passed} OK, {len(results) - passed} others")
sys.exit(bool(bad))
END
