// Rooms, the people in them and what they publish, as a list that opens level by level and keeps what the reader opened.
import { inviteUrl } from './api';
import { h, KeyedRows, setAttribute, setText, show } from './dom';
import { codec, duration, hue, initials, plural } from './format';
import { icon, setIcon, type IconName } from './icons';
import type { ParticipantEntry, RoomEntry, TrackEntry } from './snapshot';

// Up to so many rooms show their people without being asked.
const OPEN_ROOMS_MAX = 3;

export class RoomList {
  readonly element: HTMLElement;
  private readonly list = h('div', { class: 'rooms' });
  private readonly empty = h(
    'div',
    { class: 'card empty' },
    h('p', {}, 'No room is open.'),
    h('p', { class: 'hint' }, 'A room appears here when its first participant joins, and closes after its last one has left.'),
    h('a', { class: 'button', href: '#room' }, 'Open one'),
  );
  private open = true;
  private readonly rows = new KeyedRows<RoomEntry, RoomRow>(
    this.list,
    () => new RoomRow(this.open),
    (row, room) => row.update(room),
  );

  constructor() {
    this.element = h('section', { 'aria-labelledby': 'rooms-title' }, h('h2', { id: 'rooms-title' }, 'Rooms'), this.list, this.empty);
  }

  update(rooms: RoomEntry[]): void {
    this.open = rooms.length <= OPEN_ROOMS_MAX;
    this.rows.set(rooms, (room) => room.sid || room.name);
    show(this.empty, rooms.length === 0);
  }
}

class RoomRow {
  readonly element: HTMLElement;
  private readonly name = h('strong', { class: 'clip' });
  private readonly facts = h('span', { class: 'muted' });
  private readonly sid = h('span', { class: 'sid' });
  // A page of its own: this one may be in a call.
  private readonly join = h('a', { class: 'button small', target: '_blank', rel: 'noopener' }, 'Join');
  private readonly nobody = h('p', { class: 'hint' }, 'Nobody is in this room at the moment.');
  private readonly people = h('div', { class: 'people' }, this.nobody);
  private readonly rows = new KeyedRows<ParticipantEntry, ParticipantRow>(
    this.people,
    () => new ParticipantRow(),
    (row, participant) => row.update(participant),
  );

  constructor(open: boolean) {
    const summary = h('summary', {}, icon('chevron'), h('span', { class: 'line' }, this.name, this.facts, this.sid));
    this.element = h('div', { class: 'card room-row' }, h('details', { open }, summary, this.people), this.join);
  }

  update(room: RoomEntry): void {
    const age = room.creationTime > 0 ? `open ${duration(Date.now() / 1000 - room.creationTime)}` : '';
    setText(this.name, room.name || '(no name)');
    setText(this.facts, [plural(room.numParticipants, 'participant'), plural(room.numPublishers, 'publisher'), age].filter(Boolean).join(' · '));
    setText(this.sid, room.sid);
    setAttribute(this.join, 'href', inviteUrl(room.name));
    setAttribute(this.join, 'aria-label', `Join ${room.name}`);
    this.rows.set(room.participants, (participant) => participant.sid || participant.identity);
    show(this.nobody, room.numParticipants === 0 && room.participants.length === 0);
  }
}

class ParticipantRow {
  readonly element: HTMLElement;
  private readonly avatar = h('span', { class: 'avatar small', 'aria-hidden': 'true' });
  private readonly name = h('span', { class: 'clip' });
  private readonly identity = h('span', { class: 'muted clip' });
  private readonly state = h('span', { class: 'chip' });
  private readonly kind = h('span', { class: 'chip' });
  private readonly facts = h('span', { class: 'muted' });
  private readonly sid = h('span', { class: 'sid' });
  private readonly tracks = h('ul', { class: 'tracks' });
  private readonly rows = new KeyedRows<TrackEntry, TrackRow>(
    this.tracks,
    () => new TrackRow(),
    (row, track) => row.update(track),
  );

  constructor() {
    const line = h('span', { class: 'line' }, this.name, this.identity, this.state, this.kind, this.facts, this.sid);
    this.element = h('details', { class: 'person-row', open: true }, h('summary', {}, icon('chevron'), this.avatar, line), this.tracks);
  }

  update(participant: ParticipantEntry): void {
    const name = participant.name || participant.identity || participant.sid;
    const age = participant.joinedAt > 0 ? `here ${duration(Date.now() / 1000 - participant.joinedAt)}` : '';
    setText(this.avatar, initials(name));
    this.avatar.style.setProperty('--hue', String(hue(participant.identity)));
    setText(this.name, name);
    setText(this.identity, participant.identity === name ? '' : participant.identity);
    setText(this.state, participant.state.toLowerCase());
    setAttribute(this.state, 'data-state', participant.state);
    setText(this.kind, participant.kind === 'STANDARD' ? '' : participant.kind.toLowerCase());
    setText(this.facts, [participant.tracks.length === 0 ? 'publishes nothing' : plural(participant.tracks.length, 'track'), age].filter(Boolean).join(' · '));
    setText(this.sid, participant.sid);
    setAttribute(this.element, 'data-empty', participant.tracks.length === 0);
    this.rows.set(participant.tracks, (track) => track.sid);
  }
}

class TrackRow {
  readonly element: HTMLElement;
  private readonly sign = icon('data');
  private readonly title = h('span', { class: 'clip' });
  private readonly facts = h('span', { class: 'muted' });
  private readonly simulcast = h('span', { class: 'chip' }, 'simulcast');
  private readonly muted = h('span', { class: 'chip warn' }, 'muted');
  private readonly sid = h('span', { class: 'sid' });

  constructor() {
    this.element = h('li', {}, this.sign, h('span', { class: 'line' }, this.title, this.facts, this.simulcast, this.muted, this.sid));
  }

  update(track: TrackEntry): void {
    const { sign, title } = kindOf(track);
    setIcon(this.sign, sign);
    setText(this.title, track.name && track.name.toLowerCase() !== title.toLowerCase() ? `${title} “${track.name}”` : title);
    const size = track.width > 0 && track.height > 0 ? `${track.width}×${track.height}` : '';
    setText(this.facts, [codec(track.mimeType), size].filter(Boolean).join(' · '));
    show(this.simulcast, track.simulcast);
    show(this.muted, track.muted);
    setText(this.sid, track.sid);
  }
}

function kindOf(track: TrackEntry): { sign: IconName; title: string } {
  switch (track.source) {
    case 'CAMERA':
      return { sign: track.muted ? 'cameraOff' : 'camera', title: 'Camera' };
    case 'MICROPHONE':
      return { sign: track.muted ? 'micOff' : 'mic', title: 'Microphone' };
    case 'SCREEN_SHARE':
      return { sign: 'screen', title: 'Screen' };
    case 'SCREEN_SHARE_AUDIO':
      return { sign: 'sound', title: 'Screen sound' };
  }
  if (track.type === 'VIDEO') return { sign: 'camera', title: 'Video' };
  return track.type === 'AUDIO' ? { sign: 'sound', title: 'Audio' } : { sign: 'data', title: 'Data' };
}
