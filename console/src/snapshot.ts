// What /console/api/overview answers, read leniently: a field that is absent or of another type becomes its empty value, so that a
// console and a server of different versions get along.

export interface Snapshot {
  version: string;
  nodeId: string;
  uptimeSecs: number | null;
  /** Every number found, the unknown ones too: a newer server may count more. */
  figures: Map<string, number>;
  rooms: RoomEntry[];
}

export interface RoomEntry {
  sid: string;
  name: string;
  numParticipants: number;
  numPublishers: number;
  /** Unix seconds; 0: not told. */
  creationTime: number;
  participants: ParticipantEntry[];
}

export interface ParticipantEntry {
  sid: string;
  identity: string;
  name: string;
  state: string;
  kind: string;
  joinedAt: number;
  tracks: TrackEntry[];
}

export interface TrackEntry {
  sid: string;
  type: string;
  source: string;
  mimeType: string;
  width: number;
  height: number;
  muted: boolean;
  simulcast: boolean;
  name: string;
}

type Json = Record<string, unknown>;

export function readSnapshot(answer: unknown): Snapshot {
  const top = object(answer);
  const server = object(top.server);
  const figures = Object.entries(object(top.figures)).map(([name, value]): [string, number | null] => [name, number(value)]);
  return {
    version: text(server.version),
    nodeId: text(server.node_id),
    uptimeSecs: number(server.uptime_secs),
    figures: new Map(figures.filter((entry): entry is [string, number] => entry[1] !== null)),
    rooms: list(top.rooms).map(readRoom),
  };
}

function readRoom(room: Json): RoomEntry {
  const participants = list(room.participants).map(readParticipant);
  return {
    sid: text(room.sid),
    name: text(room.name),
    numParticipants: number(room.num_participants) ?? participants.length,
    numPublishers: number(room.num_publishers) ?? participants.filter((participant) => participant.tracks.length > 0).length,
    creationTime: number(room.creation_time) ?? 0,
    participants,
  };
}

function readParticipant(participant: Json): ParticipantEntry {
  return {
    sid: text(participant.sid),
    identity: text(participant.identity),
    name: text(participant.name),
    state: text(participant.state),
    kind: text(participant.kind),
    joinedAt: number(participant.joined_at) ?? 0,
    tracks: list(participant.tracks).map(readTrack),
  };
}

function readTrack(track: Json): TrackEntry {
  return {
    sid: text(track.sid),
    type: text(track.type),
    source: text(track.source),
    mimeType: text(track.mime_type),
    width: number(track.width) ?? 0,
    height: number(track.height) ?? 0,
    muted: track.muted === true,
    simulcast: track.simulcast === true,
    name: text(track.name),
  };
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

// Protobuf's JSON writes 64-bit integers as strings.
function number(value: unknown): number | null {
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof read === 'number' && Number.isFinite(read) ? read : null;
}
