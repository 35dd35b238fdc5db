"""What schemathesis is told beyond the description: ids that exist, so that not every request is refused, and that
answers have no field that is not described (the description itself leaves room for later ones)."""

import base64
import json
import os

import schemathesis
from hypothesis import strategies

with open(os.environ["DEUCED_WORLD"]) as file:
    WORLD = json.load(file)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    schemas = raw_schema["components"]["schemas"]
    close_answers(raw_schema)
    groups = WORLD["spare"] if os.environ.get("DEUCED_ENDINGS") else WORLD["groups"]
    known = {"GroupId": groups, "EntryId": WORLD["entries"], "InviteId": WORLD["invites"], "UserId": WORLD["people"],
             "PictureName": WORLD["pictures"]}
    for name, ids in known.items():
        schemas[name] = {"anyOf": [{"enum": ids}, schemas[name]]}
    # An entry needs groups that are all one's own, and a login a name with its password.
    mine = {"anyOf": [{"enum": groups[:2]}, {"$ref": "#/components/schemas/GroupId"}]}
    schemas["NewEntry"]["properties"]["groupIds"]["items"] = mine
    schemas["NewEntryForm"]["properties"]["groupIds"]["anyOf"][0] = mine
    schemas["Login"]["examples"] = [{"username": "mia", "password": "password of mia"}]
    rooms = ["general", *(f"group:{group}" for group in groups)]
    schemas["RoomName"] = {"anyOf": [{"enum": rooms}, schemas["RoomName"]]}


def close_answers(raw_schema):
    """Lets no object of an answer have fields that are not described."""
    answers = list(raw_schema["components"]["responses"].values())
    for item in raw_schema["paths"].values():
        for operation in item.values():
            answers.extend(operation["responses"].values())
    seen = set()

    def close(value):
        if isinstance(value, list):
            for one in value:
                close(one)
        elif isinstance(value, dict):
            target = value.get("$ref")
            if isinstance(target, str) and target.startswith("#/components/schemas/") and target not in seen:
                seen.add(target)
                close(raw_schema["components"]["schemas"][target.rsplit("/", 1)[1]])
            if value.get("type") == "object" and isinstance(value.get("properties"), dict):
                value["additionalProperties"] = False
            for one in value.values():
                close(one)

    for answer in answers:
        close(answer.get("content"))


pictures = strategies.sampled_from([base64.b64decode(WORLD[kind]) for kind in ("png", "jpeg")])
schemathesis.openapi.format("binary", pictures)
for kind in ("image/png", "image/jpeg"):
    schemathesis.openapi.media_type(kind, pictures)


@schemathesis.deserializer("image/jpeg")
def picture(context, response):
    """A picture is told by its first bytes."""
    assert response.content.startswith(b"\xff\xd8\xff"), "not a JPEG"
    return {}
