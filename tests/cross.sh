#!/usr/bin/env bash
# Holds cross.toml: it can be read, it has the four targets of packaging/build.sh and nothing that cross would not know,
# and cross finds it, by the link Cross.toml. cross itself needs a container engine; it is run by hand.
set -euo pipefail
cd "$(dirname "$0")/.."
[ Cross.toml -ef cross.toml ] || { echo "Cross.toml is not cross.toml: cross would not read it"; exit 1; }
[ "$(git ls-files -s Cross.toml | cut -d' ' -f1)" = 120000 ] || { echo "Cross.toml is not committed as a symbolic link"; exit 1; }
[ "$(readlink Cross.toml)" = cross.toml ] || { echo "Cross.toml does not lead to the file beside it"; exit 1; }
python3 - <<'PYTHON'
import re, sys
try:
    import tomllib
except ModuleNotFoundError:
    sys.exit("tests/cross.sh needs Python 3.11 or newer")

config = tomllib.load(open("cross.toml", "rb"))
targets = config.pop("target")
ours = set(re.findall(r"packaging/build.sh (\S*(?:musl|gnu|gnueabihf))\s", open("packaging/build.sh").read())) - {"x86_64-unknown-linux-gnu"}
if set(targets) != ours or len(ours) != 4:
    sys.exit(f"cross.toml has {sorted(targets)}, packaging/build.sh {sorted(ours)}")
for name, target in targets.items():
    if target != {"image": f"ghcr.io/cross-rs/{name}:0.2.5"}:
        sys.exit(f"cross.toml: {name} has {target}")
if set(config) != {"build"} or set(config["build"]) != {"env"} or set(config["build"]["env"]) != {"passthrough"}:
    sys.exit(f"cross.toml has what cross may not know: {config}")
print(f"cross.toml: {len(targets)} targets")
PYTHON
