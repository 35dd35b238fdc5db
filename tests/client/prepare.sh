# Sourced by client.sh and browser.sh: checks what they need and installs what comes from npm below target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

command -v node >/dev/null || { echo "node is missing"; exit 1; }
command -v npm >/dev/null || { echo "npm is missing"; exit 1; }
export DEUCED_BIN=${DEUCED_BIN:-$PWD/target/release/deuced}
[ -x "$DEUCED_BIN" ] || { echo "$DEUCED_BIN is missing: cargo build --release"; exit 1; }

modules=target/client
if ! cmp -s tests/client/package.json "$modules/installed.json"; then
    mkdir -p "$modules"
    cp tests/client/package.json "$modules/package.json"
    # The browser is the system's own; the packages bring no install scripts that are needed.
    (cd "$modules" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error)
    cp tests/client/package.json "$modules/installed.json"
fi
