#!/usr/bin/env bash
# The packages, made of release builds and used: contents, sizes, reproducibility, lintian, the bill of materials, and
# then a life with the .deb and another with the tarball, in a Debian of their own with a real systemd (tests/boot).
#
# DEUCED_BIN names the native release build. ARM packages are made of what packaging/build.sh left in target/arm, where
# that is there; with ARM=yes it must be. ARM_PROFILE names the profile of the armhf build.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/contents.sh

fail() { echo "package: $*"; exit 1; }
native=${DEUCED_BIN:-$PWD/target/release/deuced}
here=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH
if ! command -v lintian >/dev/null; then
    apt-get update || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 lintian
fi

out=target/package
rm -rf "$out"
mkdir -p "$out/again" "$out/old"
declare -A binaries=(["$here"]="$native")
for pair in arm64=aarch64-unknown-linux-gnu/release "armhf=armv7-unknown-linux-gnueabihf/${ARM_PROFILE:-release}"; do
    binary=target/arm/${pair#*=}/deuced
    if [ -x "$binary" ]; then
        binaries[${pair%%=*}]=$binary
    elif [ "${ARM:-}" = yes ]; then
        fail "there is no $binary"
    fi
done

for arch in "${!binaries[@]}"; do
    binary=${binaries[$arch]}
    for folder in "$out" "$out/again"; do
        packaging/build-deb.sh "$binary" "$arch" "$folder" >/dev/null
        packaging/build-tarball.sh "$binary" "$arch" "$folder"
    done
    for file in "deuced_${version}_$arch.deb" "deuced-$version-$arch.tar.xz"; do
        cmp "$out/$file" "$out/again/$file" || fail "$file is not the same when it is made again"
        size=$(stat -c %s "$out/$file")
        [ "$size" -le 2500000 ] || fail "$file has $size bytes, more than 2,500,000"
        echo "$file: $size bytes, reproducible"
    done
    deb=$out/deuced_${version}_$arch.deb
    listed=$(dpkg-deb --contents "$deb" | awk '{ print $6 }')
    for path in /usr/bin/deuced /lib/systemd/system/deuced.service /lib/systemd/system/deuced.socket \
        /lib/systemd/system/deuced-backup.service /lib/systemd/system/deuced-backup.timer /usr/lib/sysusers.d/deuced.conf \
        /etc/deuced/deuced.toml /usr/share/man/man8/deuced.8.gz /usr/share/man/man5/deuced.toml.5.gz \
        /usr/share/bash-completion/completions/deuced /usr/share/zsh/vendor-completions/_deuced \
        /usr/share/fish/vendor_completions.d/deuced.fish /usr/share/doc/deuced/examples/lan-only.conf \
        /usr/share/doc/deuced/examples/deuced.avahi.service /usr/share/doc/deuced/NOTICES.gz; do
        grep -qx "\.$path" <<<"$listed" || fail "$deb has no $path"
    done
    [ "$(dpkg-deb --field "$deb" Architecture)" = "$arch" ] || fail "$deb is not for $arch"
    needed=$(dpkg-deb --field "$deb" Depends)
    libc=$(sed -n 's/.*libc6 (>= \([0-9.]*\)).*/\1/p' <<<"$needed")
    dpkg --compare-versions "$libc" le 2.36 || fail "$deb needs libc6 $libc"
    echo "$deb: $needed"
    lintian --fail-on error,warning "$deb" || fail "lintian has something against $deb"
done

packaging/sbom.py >"$out/deuced-$version.cdx.json"
packaging/sbom.py | cmp - "$out/deuced-$version.cdx.json"
python3 - "$out/deuced-$version.cdx.json" Cargo.lock <<'PYTHON'
import json, re, sys
bom = json.load(open(sys.argv[1]))
assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.5" and bom["version"] == 1
assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bom["serialNumber"])
refs = [component["bom-ref"] for component in bom["components"]] + [bom["metadata"]["component"]["bom-ref"]]
assert len(refs) == len(set(refs))
for component in bom["components"]:
    assert component["type"] and component["name"] and component["version"] and component["purl"], component
    assert re.fullmatch("[0-9a-f]{64}", component["hashes"][0]["content"]), component
    assert component["licenses"], component
for dependency in bom["dependencies"]:
    assert dependency["ref"] in refs and set(dependency["dependsOn"]) <= set(refs), dependency
names = {component["name"] for component in bom["components"]}
assert {"rusqlite", "sqlite", "smol", "argon2"} <= names and not names & {"proptest", "rqrr"}, names
print(f"the bill of materials: {len(bom['components'])} components")
PYTHON

# What there was before: this very program under an older name.
VERSION=0.0.9 packaging/build-deb.sh "$native" "$here" "$out/old" >/dev/null
VERSION=0.0.9 packaging/build-tarball.sh "$native" "$here" "$out/old"
# A package and a tarball that are not for here.
foreign=$([ "$here" = arm64 ] && echo amd64 || echo arm64)
mkdir -p "$out/foreign"
cp -r "$out/old" "$out/foreign/work"
tar -C "$out/foreign/work" -xf "$out/old/deuced-0.0.9-$here.tar.xz"
echo "$foreign" >"$out/foreign/work/deuced-0.0.9-$here/ARCH"
mv "$out/foreign/work/deuced-0.0.9-$here" "$out/foreign/tarball"
dpkg-deb --raw-extract "$out/old/deuced_0.0.9_$here.deb" "$out/foreign/deb"
sed -i "s/^Architecture:.*/Architecture: $foreign/" "$out/foreign/deb/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$out/foreign/deb" "$out/foreign/deuced.deb" >/dev/null
rm -rf "$out/foreign/work" "$out/foreign/deb"

cp "$out/deuced_${version}_$here.deb" "$out/new.deb"
cp "$out/old/deuced_0.0.9_$here.deb" "$out/old.deb"
cp "$out/deuced-$version-$here.tar.xz" "$out/new.tar.xz"
cp "$out/old/deuced-0.0.9-$here.tar.xz" "$out/old.tar.xz"
bash tests/boot/boot.sh --share "$out=/packages" tests/package/deb.sh "$version"
bash tests/boot/boot.sh --share "$out=/packages" tests/package/tarball.sh "$version"
