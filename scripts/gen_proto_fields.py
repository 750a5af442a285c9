#!/usr/bin/env python3
"""Writes crates/proto/src/json/fields.txt: the fields of LiveKit's messages, for Twirp's JSON flavour.

Run with the published package `livekit-protocol` installed (pip install livekit-protocol):
    python3 scripts/gen_proto_fields.py > crates/proto/src/json/fields.txt

One message a line: name, then one word a field: `snake_name=kind`. Kinds: b bool, n number, l 64-bit integer (a string in JSON),
s string or bytes, e:<first value's name>, m:<message>, M:<message of map values> or M (scalars); a leading `*` repeated,
a leading `?` in a oneof or optional (present only when set).
"""
from google.protobuf import descriptor as d
from livekit.protocol import agent_dispatch, egress, ingress, models, room, sip

F = d.FieldDescriptor
LONG = {F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_FIXED64, F.TYPE_SFIXED64, F.TYPE_SINT64}
done = {}


def kind(f):
    if f.type == F.TYPE_MESSAGE:
        if f.message_type.GetOptions().map_entry:
            v = f.message_type.fields_by_name["value"]
            if v.type == F.TYPE_MESSAGE:
                visit(v.message_type)
                return "M:" + v.message_type.full_name
            return "M"
        visit(f.message_type)
        return "m:" + f.message_type.full_name
    if f.type == F.TYPE_ENUM:
        return "e:" + f.enum_type.values[0].name
    if f.type == F.TYPE_BOOL:
        return "b"
    if f.type in (F.TYPE_STRING, F.TYPE_BYTES):
        return "s"
    return "l" if f.type in LONG else "n"


def visit(m):
    if m.full_name in done:
        return
    done[m.full_name] = None
    words = []
    for f in m.fields:
        is_map = f.type == F.TYPE_MESSAGE and f.message_type.GetOptions().map_entry
        mark = "*" if f.is_repeated and not is_map else "?" if f.containing_oneof is not None else ""
        words.append(f"{f.name}={mark}{kind(f)}")
    done[m.full_name] = " ".join([m.full_name, *words])


for module in (room, egress, ingress, agent_dispatch, sip, models):
    for m in module.DESCRIPTOR.message_types_by_name.values():
        visit(m)
print("\n".join(done[k] for k in sorted(done)))
