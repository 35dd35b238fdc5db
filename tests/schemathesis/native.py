"""Checks docs/native.schema.json: that it is the whole of docs/native.md, that the frames of the transcripts and of a
live session fit it in both directions, and that what the server refuses as INVALID does not."""

import copy
import glob
import json
import os
import re
import urllib.request

from jsonschema import Draft202012Validator
from websockets.sync.client import connect

URL = os.environ["DEUCED_URL"]
with open(os.environ["DEUCED_WORLD"]) as file:
    WORLD = json.load(file)
with open("docs/native.schema.json") as file:
    SCHEMA = json.load(file)
DEFS = SCHEMA["$defs"]
Draft202012Validator.check_schema(SCHEMA)


def closed():
    """The schema without room for fields that it does not name; the schema itself leaves that to later versions."""
    schema = copy.deepcopy(SCHEMA)

    def close(value):
        if isinstance(value, list):
            for one in value:
                close(one)
        elif isinstance(value, dict):
            if "properties" in value and ("type" in value or "$ref" in value):
                value["unevaluatedProperties"] = False
            for one in value.values():
                close(one)

    for name, one in schema["$defs"].items():
        # What other definitions are made of is closed where it is used.
        if name not in ("event", "about"):
            close(one)
    return schema


CLOSED = closed()
VALID = {side: Draft202012Validator({**CLOSED, "anyOf": [{"$ref": f"#/$defs/{side}"}]}) for side in ("client", "server")}
SEEN = {"client": set(), "server": set()}
COUNT = {"fit": 0, "unfit": 0}


def fits(side, frame, where):
    kind = frame.get("type") if isinstance(frame, dict) else None
    # The definition of its type says better what is wrong than that none of all fits.
    name = f"{side}_{kind}"
    assert name in DEFS, f"{where}: no definition of what the {side} says: {frame}"
    one = Draft202012Validator({**CLOSED, "anyOf": [{"$ref": f"#/$defs/{name}"}]})
    errors = [f"{error.json_path}: {error.message}" for error in one.iter_errors(frame)]
    assert not errors and VALID[side].is_valid(frame), f"{where}: {json.dumps(frame)}\n" + "\n".join(errors)
    SEEN[side].add(kind)
    COUNT["fit"] += 1


def does_not_fit(side, frame, where):
    assert not VALID[side].is_valid(frame), f"{where}: this should not fit: {json.dumps(frame)}"
    COUNT["unfit"] += 1


def the_schema_is_whole():
    """Every frame and code of native.md has its definition, and every definition is used."""
    with open("docs/native.md") as file:
        page = file.read()
    frames, events = page.split("## Frames")[1].split("## Events")
    events = events.split("## Coming back")[0]

    def first_cells(text):
        rows = re.findall(r"^\| (`[^|]*) \|", text, re.M)
        return {word for row in rows for word in re.findall(r"`(\w+)`", row)}

    codes = {word for word in first_cells(frames) if word.isupper()}
    asked = first_cells(frames) - codes - {"code", "type"}
    # Beside the events, in the examples: what greets, answers, and has no number.
    told = (first_cells(events) - {"type"}) | set(re.findall(r'\{"type":"(\w+)"', page))
    have = {side: {name.split("_", 1)[1] for name in DEFS if name.startswith(f"{side}_")} for side in VALID}
    assert asked == have["client"], f"client: {asked ^ have['client']}"
    told |= {"ack"}
    assert told == have["server"], f"server: {told ^ have['server']}"
    assert codes == set(DEFS["server_error"]["properties"]["payload"]["properties"]["code"]["enum"]), codes
    used = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(SCHEMA)))
    assert used == set(DEFS), f"defined or used, but not both: {used ^ set(DEFS)}"


UUID = "01990000-0000-7000-8000-000000000001"
TIME = "2026-11-20T14:56:46.816Z"


def filled(text, known):
    """A line of a transcript with something fitting in each of its `<…>` (tests/harness/golden.rs)."""

    def fill(match):
        words = match.group(1)
        name, _, kind = words.partition("=")
        kind = kind or known.get(name) or name
        if repeated := re.fullmatch(r"(\d+) (.)", words, re.S):
            return repeated.group(2) * int(repeated.group(1))
        if name in ("home", "entry") or kind == "uuid":
            return UUID
        if kind.startswith("text") or kind.endswith((".token", ".jwt", ".id")):
            return "FORBIDDEN"
        return {"n": "7", "ms": "1795187924544", "iso": TIME, "json": "null"}.get(kind, "7")

    return re.sub(r"<([^<>]+)>", fill, text)


def the_transcripts_fit():
    paths = sorted(glob.glob("tests/transcripts/native-*.txt"))
    assert len(paths) > 8, paths
    for path in paths:
        with open(path) as file:
            lines = re.sub(r"\n ", "", file.read()).split("\n")
        native, known = set(), {}
        for number, line in enumerate(lines):
            where = f"{path}:{number + 1}"
            known.update(re.findall(r"<(\w+)=(\w+)>", line))
            if opened := re.match(r"([\w.]+) opens /ws (native|\| Sec-WebSocket-Protocol: deuced\.v1)", line):
                native.add(opened.group(1))
            said = re.match(r"([\w.]+)(>|<\*?) (\{.*)", line)
            if not said or said.group(1) not in native or "{broken" in line:
                continue
            side, text = ("client" if said.group(2) == ">" else "server"), said.group(3)
            if "<rest>" in text:
                kind = re.match(r'\{"type":"(\w+)"', text).group(1)
                assert f"{side}_{kind}" in DEFS, f"{where}: {kind}"
                continue
            text = text.replace('"members":<members=json>', '"members":[]')
            frame = json.loads(filled(text, known))
            # The words of the diary's own pages, which this protocol passes over.
            if side == "client" and frame["type"] == "join_group":
                continue
            if side == "client" and is_invalid(frame, lines[number + 1 : number + 3]):
                # The schema counts characters, the server units of UTF-16.
                text = frame.get("payload", {}).get("text") if isinstance(frame.get("payload"), dict) else None
                if isinstance(text, str) and len(text) <= 1000 < len(text.encode("utf-16-le")) // 2:
                    continue
                does_not_fit(side, frame, where)
            else:
                fits(side, frame, where)


def is_invalid(frame, answers):
    named = f'"id":{json.dumps(frame["id"])}' if "id" in frame else "}}"
    return any('"code":"INVALID"' in answer and named in answer for answer in answers)


def ask(method, path, name, body=None):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {WORLD['tokens'][name]}"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers, method=method)) as answer:
        return json.load(answer)


class Session:
    """A live socket whose frames are all checked."""

    def __init__(self, name=None):
        offers = ["deuced.v1"] + ([f"jwt.{WORLD['tokens'][name]}"] if name else [])
        self.socket = connect(URL.replace("http", "ws") + "/ws", subprotocols=offers, legacy=True)
        self.until("hello")
        self.next = 0

    def until(self, kind, **about):
        """Takes and checks everything up to a frame of this type, and with this in its payload."""
        while True:
            frame = json.loads(self.socket.recv(timeout=20))
            fits("server", frame, "live")
            if frame["type"] == kind and all(frame["payload"].get(name) == value for name, value in about.items()):
                return frame

    def say(self, kind, payload=None, code=None, **more):
        """Sends a frame that fits, and takes its answer; with `code` one that is refused."""
        self.next += 1
        frame = {"type": kind, "id": self.next, **({"payload": payload} if payload is not None else {}), **more}
        (does_not_fit if code == "INVALID" else fits)("client", frame, "live")
        self.socket.send(json.dumps(frame))
        if kind == "ping":
            return self.until("pong")
        answer = self.until("error" if code else "ack", id=self.next)
        assert code is None or answer["payload"]["code"] == code, answer
        return answer["payload"]


def a_live_session_fits():
    group, entry = WORLD["groups"][0], WORLD["entries"][0]
    channel = f"group:{group}"
    mia, dora, nobody = Session("mia"), Session("dora"), Session()
    mia.say("ping")
    mia.socket.send(json.dumps({"type": "ack"}))
    fits("client", {"type": "ack"}, "live")
    mia.say("subscribe", {"channel": channel, "presence": True, "since": {"seq": 0}})
    mia.say("subscribe", {"channel": "me", "since": {"seq": 0}})
    mia.say("subscribe", {"channel": "general", "presence": True})
    dora.say("subscribe", {"channel": "room:general"})
    mia.until("joined", channel="general")
    dora.say("typing", {"channel": "general"})
    mia.until("typing")
    said = dora.say("message", {"text": "Hello, @mia\n😀"})
    mia.until("message", seq=said["seq"])
    dora.say("edit", {"channel": "general", "seq": said["seq"], "messageId": said["messageId"], "text": "Hello"})
    mia.until("message_edited")
    dora.say("delete", {"channel": "general", "seq": said["seq"]})
    mia.until("message_deleted")
    dora.say("unsubscribe", {"channel": "general"})
    mia.until("left", channel="general")

    ask("POST", f"/api/join/{WORLD['invites'][0]}", "dora")
    mia.until("member_joined", user={"id": "dev-dora", "name": "dora"})
    ask("PUT", "/api/auth/user", "dora", {"username": "Dora D"})
    logged = ask("POST", "/api/deuces", "dora", {"groupIds": [group], "location": "Home", "thoughts": ""})["entries"][0]
    mia.until("deuce_logged", channel=channel)
    ask("POST", f"/api/entries/{entry}/reactions", "dora", {"emoji": "👍"})
    mia.until("reaction_added", entryId=entry)
    ask("DELETE", f"/api/entries/{entry}/reactions", "dora", {"emoji": "👍"})
    mia.until("reaction_removed")
    ask("DELETE", f"/api/deuces/{logged['id']}", "dora")
    mia.until("deuce_deleted")
    ask("PUT", f"/api/groups/{group}/members/dev-dora", "mia", {"role": "admin"})
    mia.until("role_changed")
    ask("PATCH", f"/api/groups/{group}", "mia", {"description": None})
    mia.until("group_changed")
    ask("DELETE", f"/api/groups/{group}/members/dev-cara", "mia")
    mia.until("member_left")
    ask("POST", "/api/rooms/general/messages", "dora", {"text": "Good-bye"})
    dora.socket.close()
    ask("DELETE", "/api/user/account", "dora")
    mia.until("person_erased", channel="general")

    ask("POST", "/api/notifications", "olga", {"userId": "dev-mia", "data": {"message": "Dinner", "at": [1, None]}})
    one = mia.until("notification", channel="me", **{})
    mia.say("read", {"seq": one["payload"]["seq"]})
    mia.say("read", {"all": True})

    mia.say("read", {"seq": 10**9}, "NOT_FOUND")
    mia.say("subscribe", {"channel": f"group:{UUID}"}, "FORBIDDEN")
    nobody.say("subscribe", {"channel": "general"}, "UNAUTHORIZED")
    nobody.say("auth", {"token": WORLD["tokens"]["ben"]})
    wrong = Session()
    wrong.say("auth", {"token": "x"}, "INVALID_TOKEN")
    # Each of these is refused, and fits nothing.
    for kind, payload in [
        ("subscribe", {}), ("subscribe", {"channel": 7}), ("subscribe", {"channel": ""}), ("subscribe", {"channel": " a"}),
        ("subscribe", {"channel": "a\nb"}), ("subscribe", {"channel": "x" * 101}), ("subscribe", {"channel": "a", "presence": 1}),
        ("subscribe", {"channel": "a", "since": {"seq": 5}}), ("subscribe", {"channel": "a", "since": {"seq": -1, "id": UUID}}),
        ("subscribe", {"channel": "a", "since": 5}), ("unsubscribe", {}), ("message", {"channel": "a"}),
        ("message", {"channel": "a", "text": ""}), ("message", {"channel": "a", "text": "\x07"}),
        ("message", {"channel": "a", "text": "x" * 1001}), ("message", {"channel": None, "text": "x"}),
        ("edit", {"channel": "a", "text": "x"}), ("edit", {"channel": "a", "seq": 0, "text": "x"}),
        ("edit", {"channel": "a", "seq": 1.5, "text": "x"}), ("edit", {"channel": "a", "seq": 1, "messageId": 7, "text": "x"}),
        ("delete", {"seq": 1}), ("delete", {"channel": "a", "seq": "1"}), ("typing", {"channel": []}),
        ("read", {}), ("read", {"all": False}), ("read", {"seq": 0}), ("auth", {}), ("auth", {"token": 7}), ("dance", {}),
    ]:
        mia.say(kind, payload, "INVALID")
    ask("DELETE", f"/api/groups/{group}", "mia")
    mia.until("group_deleted")
    mia.socket.close()


def what_the_server_never_says_does_not_fit():
    about = {"channel": "general", "seq": 1, "from": {"id": "dev-ann", "name": "Ann"}}
    event = {"type": "message", "id": UUID, "timestamp": 1, "payload": {**about, "text": "x"}}
    assert VALID["server"].is_valid(event)
    for change in [{"id": 7}, {"timestamp": "now"}, {"payload": about}, {"more": 1}, {"type": "deuce_logged"},
                   {"payload": {**about, "text": "x", "edited": False}}, {"payload": {**about, "text": "x", "email": "a@b"}},
                   {"payload": {**about, "text": "x", "from": {"id": None, "name": "Guest"}}},
                   {"payload": {**about, "text": "x", "from": {"id": "dev-ann", "name": "Ann", "guest": True}}},
                   {"payload": {**about, "text": "x", "from": {**about["from"], "email": "a@b"}}},
                   {"payload": {**about, "text": "x", "seq": 0}}]:
        does_not_fit("server", {**event, **change}, "made up")
    for frame in [{}, [], "hello", {"type": "hello"}, {"type": "pong", "id": 1}, {"type": "error", "payload": {"code": "NO", "message": "x"}},
                  {"type": "ack", "payload": {"id": 1, "channel": "a", "seq": 1}}, {"type": "ack", "payload": {"id": 1}},
                  {"type": "joined", "payload": {"channel": "a", "from": about["from"]}},
                  {"type": "notification_read", "id": UUID, "timestamp": 1, "payload": about}]:
        does_not_fit("server", frame, "made up")


the_schema_is_whole()
the_transcripts_fit()
a_live_session_fits()
what_the_server_never_says_does_not_fit()
# `members` is only told to a socket that fell behind, which neither a transcript nor this session does.
unseen = {"client": set(), "server": {"members"}}
for side, kinds in SEEN.items():
    missing = {name.split("_", 1)[1] for name in DEFS if name.startswith(f"{side}_")} - kinds
    assert missing == unseen[side], f"never seen from the {side}: {missing}"
print(f"{COUNT['fit']} frames fit, {COUNT['unfit']} do not and should not")
