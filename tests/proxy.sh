#!/usr/bin/env bash
# Runs the snippets of docs/proxies.md and docs/https.md as they stand there, with the addresses, names and certificates of this
# machine put in: deuced behind nginx and behind Caddy, on loopback. Then each snippet with a line left out or spoilt, which
# `deuced doctor --url` has to name. DEUCED_BIN is the server's binary. Takes a bit more than a minute: as long as nginx's own timeout.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${DEUCED_BIN:-$PWD/target/release/deuced}
[ -x "$bin" ] || { echo "there is no $bin: build it, or say DEUCED_BIN"; exit 1; }
for program in nginx caddy openssl curl python3; do
    command -v "$program" >/dev/null || missing="${missing:-} $program"
done
if [ -n "${missing:-}" ]; then
    apt-get update -q || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 ${missing/nginx/nginx-light} \
        || { echo "these cannot be had here:$missing"; exit 1; }
fi

home=$(mktemp -d)
chmod 755 "$home"
processes=()
finish() {
    for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT
passed=0
held() { passed=$((passed + 1)); echo "ok: $1"; }
broken() { echo "FAILED: $1"; [ -z "${2:-}" ] || printf '%s\n' "$2"; exit 1; }

# The block of a page that follows a mark.
block() {
    awk -v mark="<!-- $2 -->" '$0 == "```" { if (take == 2) exit } take == 2 { print } $0 == mark { take = 1 } take == 1 && /^```/ { take = 2 }' "docs/$1"
}
nginx_snippet=$(block proxies.md nginx)
caddy_snippet=$(block proxies.md caddy)
internal_snippet=$(block https.md internal)
[ -n "$nginx_snippet" ] && [ -n "$caddy_snippet" ] && [ -n "$internal_snippet" ] || broken "a page has lost its snippet"

# Ports that nobody has. Proxies cannot be asked which one they were given.
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Waits until somebody listens on a port.
listens() {
    for _ in $(seq 150); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    cat "$home"/*.log 2>/dev/null || true
    broken "nobody listens on port $1"
}

# deuced NAME [OPTIONS]: a server that trusts the proxies of this machine; sets `place` and `data`.
deuced() {
    data=$home/$1
    local listen=127.0.0.1:0
    [ ! -f "$home/$1.place" ] || listen=$(cat "$home/$1.place")
    rm -f "$data/address"
    DEUCED_CONFIG= "$bin" serve --open --data "$data" --listen "$listen" --limit ping_every_seconds=90 "${@:2}" \
        >>"$home/$1.out" 2>&1 &
    server=$!
    processes+=("$server")
    for _ in $(seq 150); do
        [ ! -s "$data/address" ] || break
        kill -0 "$server" 2>/dev/null || { cat "$home/$1.out"; broken "the server did not start"; }
        sleep 0.1
    done
    place=$(cat "$data/address")
    echo "$place" >"$home/$1.place"
}

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$home/key.pem" -out "$home/cert.pem" 2>/dev/null

# nginx NAME SNIPPET: sets `url`.
nginx_with() {
    local port config
    port=$(port)
    config=$(sed -e "s|listen 443 ssl|listen 127.0.0.1:$port ssl|" -e "s|server_name diary.example|server_name localhost|" \
        -e "s|/etc/ssl/certs/diary.example.pem|$home/cert.pem|" -e "s|/etc/ssl/private/diary.example.key|$home/key.pem|" \
        -e "s|127.0.0.1:8222|$place|" <<<"$2")
    mkdir -p "$home/$1-nginx"
    cat >"$home/$1-nginx/nginx.conf" <<EOF
daemon off;
pid $home/$1-nginx/pid;
error_log $home/$1-nginx.log;
worker_processes 1;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $home/$1-nginx/body;
    proxy_temp_path $home/$1-nginx/proxy;
    fastcgi_temp_path $home/$1-nginx/fastcgi;
    uwsgi_temp_path $home/$1-nginx/uwsgi;
    scgi_temp_path $home/$1-nginx/scgi;
$config
}
EOF
    nginx -q -t -e "$home/$1-nginx.log" -c "$home/$1-nginx/nginx.conf" || broken "nginx does not take the snippet" "$config"
    nginx -e "$home/$1-nginx.log" -c "$home/$1-nginx/nginx.conf" &
    processes+=($!)
    listens "$port"
    url=https://localhost:$port
}

# caddy NAME SNIPPET [SITE]: sets `url`. Certificates are its own authority's, in a home of its own.
caddy_with() {
    local port config
    port=$(port)
    config=$(sed -e "s|^diary.example {|https://localhost:$port {\n\ttls internal|" -e "s|^pi.local {|https://localhost:$port {|" \
        -e "s|127.0.0.1:8222|$place|" <<<"$2")
    mkdir -p "$home/$1-caddy"
    printf '{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n%s\n' "$config" >"$home/$1-caddy/Caddyfile"
    HOME=$home/caddy XDG_DATA_HOME=$home/caddy XDG_CONFIG_HOME=$home/caddy caddy run --adapter caddyfile \
        --config "$home/$1-caddy/Caddyfile" >"$home/$1-caddy.log" 2>&1 &
    processes+=($!)
    listens "$port"
    url=https://localhost:$port
    # Its certificate is made when it has started.
    for _ in $(seq 100); do curl -skf -o /dev/null "$url/api/health" && return; sleep 0.1; done
    cat "$home/$1-caddy.log"
    broken "caddy does not answer"
}

# Asks the doctor; `said` is what it said of the proxy.
doctor() {
    said=$(DEUCED_CONFIG= SSL_CERT_FILE="${roots:-$home/cert.pem}" "$bin" doctor --data "$data" --url "$url" --wait "${wait:-0}" 2>&1 || true)
}

# says WORDS: fails unless the doctor says so.
says() {
    doctor
    case $said in *"$1"*) held "$2: $1" ;; *) broken "$2: the doctor does not say '$1'" "$said" ;; esac
}

# What has to work behind any proxy.
works() {
    local name=$1 jar=$home/$1.jar status
    doctor
    case $said in
        *"problem: the"*proxy*|*"does not trust"*|*"no socket"*) broken "$name: the doctor has something to complain of" "$said" ;;
        *"ok: the server sees this machine as 127.0.0.1, through the proxy at 127.0.0.1"*) held "$name: the doctor is content" ;;
        *) broken "$name: the doctor does not see the proxy" "$said" ;;
    esac
    for words in "this machine trusts the certificate" "shows the page" "pictures of 5.2 MB come through" "a socket opens"; do
        case $said in *"ok: "*"$words"*) ;; *) broken "$name: $words" "$said" ;; esac
    done
    curl -sk -c "$jar" -D "$home/head" -H 'Content-Type: application/json' -H "Origin: $url" -d '{"username":"Ann"}' "$url/api/login" >"$home/body"
    grep -q '"ok":true' "$home/body" || broken "$name: login" "$(cat "$home/body")"
    grep -qi '^set-cookie: deuced=.*; Secure' "$home/head" || broken "$name: the cookie is not Secure" "$(cat "$home/head")"
    held "$name: login, and the cookie is Secure"
    status=$(curl -sk -b "$jar" -o "$home/body" -w '%{http_code}' -H "Origin: $url" -H 'Content-Type: image/png' \
        --data-binary "@$home/picture.png" "$url/api/auth/user/profile-picture")
    [ "$status" = 200 ] || broken "$name: a picture of 4 MB: $status" "$(cat "$home/body")"
    held "$name: a picture of 4 MB ($(stat -c %s "$home/picture.png") bytes)"
    # Limits count for clients and not for the proxy: one has used up its tries, another has not.
    for _ in 1 2 3 4 5 6 7 8 9; do
        status=$(curl -sk -o /dev/null -w '%{http_code}' --interface 127.0.0.2 -H 'X-Forwarded-For: 192.0.2.9' -H 'Forwarded: for=192.0.2.10' \
            -H 'Content-Type: application/json' -d '{"username":"Eve"}' "$url/api/login")
    done
    [ "$status" = 429 ] || broken "$name: nine logins from one address are not too many, or it could pretend to be another: $status"
    status=$(curl -sk -o /dev/null -w '%{http_code}' --interface 127.0.0.3 -H 'Content-Type: application/json' -d '{"username":"Bob"}' "$url/api/login")
    [ "$status" = 200 ] || broken "$name: another address is held up by that: $status"
    held "$name: clients have their own addresses, and cannot choose them"
    # A restart of the server, with the proxy in its place.
    kill -TERM "$server" && wait "$server" || broken "$name: the server does not stop"
    says "the proxy at $url does not reach the server (502" "$name"
    deuced "$2" "${@:3}"
    for _ in $(seq 50); do
        status=$(curl -sk -b "$jar" -o "$home/body" -w '%{http_code}' "$url/api/auth/user")
        [ "$status" = 200 ] && break
        sleep 0.2
    done
    [ "$status" = 200 ] || broken "$name: after a restart of the server: $status" "$(cat "$home/body")"
    held "$name: the server was started again behind it, and the login is good"
}

python3 - "$home/picture.png" <<'EOF'
import os, struct, sys, zlib
width, height = 1200, 1150
rows = b"".join(b"\0" + os.urandom(3 * width) for _ in range(height))
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))
EOF

trust=(--trusted-proxy 127.0.0.1 --limit logins_per_minute=6)

echo "== a socket on which nobody speaks, for longer than nginx allows by itself"
deuced patient "${trust[@]}"
nginx_with patient "$nginx_snippet"
(wait=70 doctor; echo "$said" >"$home/patient.said") &
patient=$!
nginx_with impatient "$(grep -v _timeout <<<"$nginx_snippet")"
(wait=70 doctor; echo "$said" >"$home/impatient.said") &
impatient=$!
caddy_with patient "$caddy_snippet"
(roots=$home/caddy/caddy/pki/authorities/local/root.crt wait=70 doctor; echo "$said" >"$home/patient-caddy.said") &
patient_caddy=$!

echo "== nginx"
deuced nginx "${trust[@]}"
nginx_with good "$nginx_snippet"
works nginx nginx "${trust[@]}"
# without NAME PATTERN WORDS: the snippet without some of its lines.
without() {
    local less
    less=$(grep -vE "$2" <<<"$nginx_snippet")
    [ "$less" != "$nginx_snippet" ] || broken "$1: the snippet has no such line: $2"
    nginx_with "$1" "$less"
    says "$3" "nginx, $1"
}
without no-upgrade 'http_upgrade;|connection_upgrade;' "the proxy does not hand on Upgrade and Connection"
without no-client 'X-Forwarded-For' "does not say who its clients are (no X-Forwarded-For)"
without no-scheme 'X-Forwarded-Proto' "does not say that its clients speak https (no X-Forwarded-Proto)"
without small-body 'client_max_body_size' "the proxy lets no pictures of 5.2 MB through (413)"
without no-host 'Host \$http_host' "the proxy changed the name: localhost:"
without strangers-word ' Forwarded ' "the proxy hands on what clients say of themselves"
nginx_with short "$(sed 's/_timeout 1h/_timeout 2s/' <<<"$nginx_snippet")"
wait=8 says "the proxy ended a socket on which nobody had spoken for" "nginx, short timeout"

echo "== Caddy"
roots=$home/caddy/caddy/pki/authorities/local/root.crt
deuced caddy "${trust[@]}"
caddy_with good "$caddy_snippet"
works Caddy caddy "${trust[@]}"
# spoilt NAME SED WORDS: the snippet, changed.
spoilt() {
    local less
    less=$(sed "$2" <<<"$caddy_snippet")
    [ "$less" != "$caddy_snippet" ] || broken "$1: nothing was changed: $2"
    caddy_with "$1" "$less"
    says "$3" "Caddy, $1"
}
spoilt no-upgrade 's/header_up -Forwarded/header_up -Upgrade/' "the proxy does not hand on Upgrade and Connection"
spoilt no-client 's/header_up -Forwarded/header_up -X-Forwarded-For/' "does not say who its clients are (no X-Forwarded-For)"
spoilt no-scheme 's/header_up -Forwarded/header_up -X-Forwarded-Proto/' "does not say that its clients speak https (no X-Forwarded-Proto)"
spoilt small-body 's/max_size 6MB/max_size 1MB/' "the proxy lets no pictures of 5.2 MB through"
spoilt no-host 's/header_up -Forwarded/header_up Host backend\n\theader_up -X-Forwarded-Host/' "the proxy changed the name: localhost:"
spoilt strangers-word '/header_up -Forwarded/d' "the proxy hands on what clients say of themselves"
wait=8
spoilt short 's/header_up -Forwarded/transport http {\n read_timeout 2s\n}/' "the proxy ended a socket on which nobody had spoken for"
wait=0

echo "== Caddy with its own authority"
caddy_with internal "$internal_snippet"
curl -sf --cacert "$roots" -o /dev/null "$url/" || broken "the root certificate is not where docs/https.md says"
says "ok: this machine trusts the certificate of localhost" "internal"
roots=/etc/ssl/certs/ca-certificates.crt says "this machine does not trust the certificate of localhost" "internal, on a device without the root certificate"

echo "== a proxy that nobody trusts, and one without a server"
deuced untrusting
nginx_with untrusted "$nginx_snippet"
roots=
says "the server does not believe the proxy at 127.0.0.1" "nginx"

echo "== and the sockets"
wait "$patient" "$impatient" "$patient_caddy" || true
seen() { grep -q "$2" "$home/$1.said" && held "$1: $2" || broken "$1: not '$2'" "$(cat "$home/$1.said")"; }
seen patient "the socket stayed open for 70 s"
seen impatient "the proxy ended a socket on which nobody had spoken for [56]"
seen patient-caddy "the socket stayed open for 70 s"
echo "$passed passed, 0 failed"
