#!/usr/bin/env python3
"""sbom.py: prints a CycloneDX 1.5 list of what is in the binary, from Cargo.lock and what the crates say of themselves.

`sbom.py notices` prints the licences' texts instead, each once, with the crates that it is for: they have to go with the
binary.

Only what is compiled in or runs while building counts, for the Linux targets that packages are made for; not what tests
need. The same commit gives the same bytes."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf", "arm-unknown-linux-gnueabihf"]
root = Path(__file__).resolve().parent.parent


def lock_hashes():
    text = (root / "Cargo.lock").read_text()
    found = {}
    for block in text.split("[[package]]")[1:]:
        field = lambda name: (re.search(rf'^{name} = "(.*)"$', block, re.M) or [None, None])[1]
        found[field("name"), field("version")] = field("checksum")
    return found


def metadata():
    words = ["cargo", "metadata", "--format-version=1", "--locked"] + [f"--filter-platform={target}" for target in TARGETS]
    return json.loads(subprocess.run(words, cwd=root, check=True, capture_output=True).stdout)


def reached(data):
    """The ids of packages in the binary, each with those it needs itself."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    found, left = {}, [data["resolve"]["root"]]
    while left:
        one = left.pop()
        if one in found:
            continue
        needs = [dep["pkg"] for dep in nodes[one]["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
        found[one] = sorted(needs)
        left += needs
    return found


def sqlite(package):
    """The version of SQLite that a crate brings, and the hash of its source."""
    source = Path(package["manifest_path"]).parent / "sqlite3" / "sqlite3.c"
    text = source.read_bytes()
    return re.search(rb'#define SQLITE_VERSION\s+"([^"]+)"', text)[1].decode(), hashlib.sha256(text).hexdigest()


def notices(packages):
    """Every text once, with those it is for."""
    texts = {}
    for package in packages:
        folder = Path(package["manifest_path"]).parent
        files = sorted(file for file in folder.iterdir() if re.match(r"(?i)(license|licence|copying|copyright|notice|unlicense)", file.name))
        for file in files:
            if file.is_file():
                text = file.read_text(errors="replace").strip()
                texts.setdefault(text, set()).add(f"{package['name']} {package['version']}")
        if not files:
            texts.setdefault(f"(no text of its own: {package['license']})", set()).add(f"{package['name']} {package['version']}")
    for text, owners in sorted(texts.items(), key=lambda item: sorted(item[1])):
        print(f"{'=' * 100}\n{', '.join(sorted(owners))}\n{'-' * 100}\n{text}\n")


def main():
    data, hashes = metadata(), lock_hashes()
    graph = reached(data)
    packages = {package["id"]: package for package in data["packages"] if package["id"] in graph}
    if sys.argv[1:] == ["notices"]:
        notices(package for key, package in packages.items() if key != data["resolve"]["root"])
        return
    refs = {key: f"pkg:cargo/{package['name']}@{package['version']}" for key, package in packages.items()}
    components = []
    for key, package in packages.items():
        if key == data["resolve"]["root"]:
            continue
        checksum = hashes.get((package["name"], package["version"]))
        licence = (package["license"] or "").replace("/", " OR ")
        if not licence or not checksum:
            sys.exit(f"sbom.py: {refs[key]} has no licence or no hash")
        component = {
            "type": "library",
            "bom-ref": refs[key],
            "name": package["name"],
            "version": package["version"],
            "hashes": [{"alg": "SHA-256", "content": checksum}],
            "licenses": [{"expression": re.sub(r"\s+", " ", licence).strip()}],
            "purl": refs[key],
        }
        if package["description"]:
            component["description"] = " ".join(package["description"].split())
        components.append(component)
    around = next(key for key, package in packages.items() if package["name"] == "libsqlite3-sys")
    version, checksum = sqlite(packages[around])
    database = f"pkg:generic/sqlite@{version}"
    components.append({
        "type": "library", "bom-ref": database, "name": "sqlite", "version": version,
        "hashes": [{"alg": "SHA-256", "content": checksum}],
        "licenses": [{"license": {"name": "Public Domain"}}], "purl": database,
    })
    components.sort(key=lambda component: component["bom-ref"])
    depends = {refs[key]: sorted(refs[need] for need in needs) for key, needs in graph.items()}
    depends[refs[around]] = sorted(depends[refs[around]] + [database])
    depends[database] = []
    server = packages[data["resolve"]["root"]]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or
                subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, check=True, capture_output=True).stdout)
    lock = hashlib.sha256((root / "Cargo.lock").read_bytes()).hexdigest()
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # From what it describes, and not by chance.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'deuced {epoch} {lock}')}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": {
                "type": "application", "bom-ref": refs[server["id"]], "name": server["name"], "version": server["version"],
                "description": server["description"], "licenses": [{"expression": server["license"]}], "purl": refs[server["id"]],
            },
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": needs} for ref, needs in sorted(depends.items())],
    }
    json.dump(bom, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
