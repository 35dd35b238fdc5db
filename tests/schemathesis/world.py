"""A household on a fresh server, so that made-up requests meet something: groups, entries, reactions, invites,
messages and notifications. Writes who and what there is to DEUCED_WORLD; with a name, prints that person's token."""

import base64
import json
import os
import struct
import sys
import urllib.request
import zlib

URL, WORLD = os.environ["DEUCED_URL"], os.environ["DEUCED_WORLD"]


def ask(method, path, token=None, body=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def login(name):
    answer = ask("POST", "/api/login", body={"username": name, "password": f"password of {name}"})
    return answer["token"]


def found(owner, name, others):
    """A group with its members and what they did in it."""
    group = ask("POST", "/api/groups", owner, {"name": name, "description": "Who lives here"})["id"]
    invite = ask("POST", f"/api/groups/{group}/invite", owner, {})["id"]
    for other in others:
        ask("POST", f"/api/join/{invite}", other)
    entries = []
    for writer in [owner, *others]:
        entry = {"groupIds": [group], "location": "Home", "thoughts": "All well."}
        entries.append(ask("POST", "/api/deuces", writer, entry)["entries"][0]["id"])
        ask("POST", f"/api/rooms/group:{group}/messages", writer, {"text": "Did you see it, @mia?"})
    for entry in entries:
        ask("POST", f"/api/entries/{entry}/reactions", others[0], {"emoji": "🔥"})
    return {"group": group, "invite": invite, "entries": entries}


def png(size):
    """A square picture of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + b"\x20\x60\xa0" * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def upload(token, picture):
    """Sets somebody's picture; its path, and what the server made of it."""
    headers = {"Content-Type": "image/png", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(URL + "/api/auth/user/profile-picture", picture, headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        path = json.load(answer)["profileImageUrl"]
    with urllib.request.urlopen(URL + path) as answer:
        return path, answer.read()


def build():
    tokens = {name: login(name) for name in ("olga", "mia", "ben", "cara", "xaver", "dora", "emil")}
    olga, mia, ben, cara = (tokens[name] for name in ("olga", "mia", "ben", "cara"))
    home = found(mia, "Home", [olga, ben, cara])
    work = found(olga, "Work", [mia, ben])
    others = found(ben, "Others", [cara])
    # Groups that are there to be left and ended.
    spare = [found(olga, f"Spare {number}", [ben, cara])["group"] for number in range(20)]
    for name in ("mia", "ben"):
        ask("POST", "/api/rooms/general/messages", tokens[name], {"text": "Hello, @mia and @ben"})
    ask("POST", "/api/notifications", olga, {"userId": "dev-mia", "data": {"message": "Dinner"}})
    # A child, in a group of its grown-ups, and people who are there to be changed and removed.
    ask("POST", "/api/people", olga, {"username": "kim", "child": True, "groupIds": [work["group"]]})
    prepared = [ask("POST", "/api/people", olga, {"username": f"spare {number}"}) for number in range(20)]
    # A button of somebody's who ends no device, and logins of dora's to be ended.
    button = {"name": "Button", "groupIds": [home["group"]], "verbs": ["log", "read", "chat", "notify"]}
    tokens["button"] = ask("POST", "/api/devices", ben, button)["token"]
    sensors = [{**button, "name": f"Sensor {number}"} for number in range(5)]
    devices = [ask("POST", "/api/devices", mia, sensor)["id"] for sensor in sensors]
    for _ in range(10):
        login("dora")
    sessions = [one["id"] for one in ask("GET", "/api/sessions", tokens["dora"]) if not one["current"]]
    path, jpeg = upload(ben, png(64))
    groups = [home, work, others]
    world = {
        "tokens": tokens,
        "groups": [one["group"] for one in groups],
        "spare": spare,
        "invites": [one["invite"] for one in groups],
        "entries": [entry for one in groups for entry in one["entries"]],
        "devices": devices,
        "sessions": sessions,
        "child": "dev-kim",
        "spare_people": [one["person"]["id"] for one in prepared[5:]],
        "secrets": [one["resetLink"].split("#")[1] for one in prepared[:5]],
        "pictures": [path.rsplit("/", 1)[1]],
        "png": base64.b64encode(png(300)).decode(),
        "jpeg": base64.b64encode(jpeg).decode(),
        # Those whose roles may be changed: without mia, who must stay what she is for the rest to say anything.
        "people": ["dev-ben", "dev-cara", "dev-xaver"],
    }
    with open(WORLD, "w") as file:
        json.dump(world, file)


if len(sys.argv) > 1:
    with open(WORLD) as file:
        print(json.load(file)["tokens"][sys.argv[1]])
else:
    build()
