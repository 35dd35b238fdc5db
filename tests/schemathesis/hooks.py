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
    endings = os.environ.get("DEUCED_ENDINGS", "")
    groups = WORLD["spare"] if endings == "groups" else WORLD["groups"]
    people = WORLD["spare_people"] if endings == "people" else WORLD["people"]
    known = {"GroupId": groups, "EntryId": WORLD["entries"], "InviteId": WORLD["invites"], "UserId": people,
             "PictureName": WORLD["pictures"], "DeviceId": WORLD["devices"]}
    for name, ids in known.items():
        schemas[name] = {"anyOf": [{"enum": ids}, schemas[name]]}
    # An entry needs groups that are all one's own, and a login a name with its password.
    mine = {"anyOf": [{"enum": groups[:2]}, {"$ref": "#/components/schemas/GroupId"}]}
    schemas["NewEntry"]["properties"]["groupIds"]["items"] = mine
    schemas["GroupIdsForm"]["anyOf"][0] = mine
    schemas["DeviceWanted"]["properties"]["groupIds"]["items"] = mine
    schemas["NewPerson"]["properties"]["groupIds"]["items"] = mine
    # A session of somebody else is none.
    raw_schema["components"]["parameters"]["session"]["schema"] = {"anyOf": [{"enum": WORLD["sessions"]}, {"type": "integer"}]}
    # A link is good once; what comes after the examples is refused.
    schemas["Reset"]["examples"] = [{"secret": secret, "password": "correct horse battery"} for secret in WORLD["secrets"]]
    # Only a child is put into a group by others.
    adding = raw_schema["paths"]["/api/groups/{group}/members"]["post"]["requestBody"]["content"]
    for form in adding.values():
        form["schema"]["properties"]["userId"] = {"anyOf": [{"const": WORLD["child"]}, {"$ref": "#/components/schemas/UserId"}]}
    password = "password of emil"
    schemas["PasswordChange"]["examples"] = [{"oldPassword": password, "newPassword": password}]
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
