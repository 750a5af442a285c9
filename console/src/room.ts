// A call as one sees it: a LiveKit room, its tiles and controls. The room's own state is the only state: whatever happens, the view
// is drawn again from it, so that no order of events can leave the two apart.
import { ConnectionState, type DisconnectReason, type Participant, type RemoteParticipant, Room, RoomEvent, setLogLevel, Track } from 'livekit-client';
import { inviteUrl } from './api';
import { Controls } from './controls';
import { h } from './dom';
import { RoomBar } from './roombar';
import type { Notices } from './notices';
import { Sound } from './sound';
import { Ears } from './speech';
import { Stage } from './stage';
import { Meter } from './stats';
import { Tile } from './tile';
import { connectTrouble, type Device, deviceTrouble, endReason } from './trouble';

export interface Entry {
  url: string;
  token: string;
  room: string;
  camera: boolean;
  microphone: boolean;
  /** Calls the joining off. */
  signal: AbortSignal;
}

// The client goes on for ever where a server is there and has no signalling; a visitor does not.
const JOIN_PATIENCE_MS = 25_000;
const FIGURES_EVERY_MS = 1000;
// In a larger room who comes and goes is seen, not announced.
const ANNOUNCE_MAX = 8;
// After a reconnect everybody seems to leave and to come back; that is not news.
const QUIET_MS = 2000;

const REDRAW_ON = [
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.TrackStreamStateChanged,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ActiveSpeakersChanged,
  RoomEvent.ConnectionQualityChanged,
  RoomEvent.ConnectionStateChanged,
  RoomEvent.AudioPlaybackStatusChanged,
] as const;

export class RoomView {
  readonly element: HTMLElement;
  private readonly bar: RoomBar;
  private readonly controls: Controls;
  private readonly stage = new Stage();
  private readonly sound = new Sound();
  private readonly ears = new Ears((identity, level, speaking) => this.tiles.get(identity)?.hear(level, speaking));
  private readonly meter = new Meter();
  private readonly tiles = new Map<string, Tile>();
  private readonly timer: ReturnType<typeof setInterval>;
  private joined = false;
  private redrawing = false;
  private quietUntil = 0;

  /** Resolves once the room is entered; `ended` is called once after that, null meaning that the visitor left. */
  static async join(entry: Entry, notices: Notices, ended: (reason: string | null) => void): Promise<RoomView> {
    setLogLevel('warn');
    // adaptiveStream and dynacast: ask for no more than is shown, send no more than is asked for.
    const room = new Room({ adaptiveStream: true, dynacast: true });
    const view = new RoomView(room, entry, notices, ended);
    const callOff = (): void => void room.disconnect();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      callOff();
    }, JOIN_PATIENCE_MS);
    entry.signal.addEventListener('abort', callOff, { once: true });
    try {
      await room.connect(entry.url, entry.token);
    } catch (error) {
      view.dispose();
      throw new Error(late ? 'The server did not let us in within a reasonable time. Check that it runs, then try again.' : connectTrouble(error));
    } finally {
      clearTimeout(timer);
      entry.signal.removeEventListener('abort', callOff);
    }
    view.joined = true;
    view.redraw();
    void view.startDevices(entry);
    return view;
  }

  private constructor(
    private readonly room: Room,
    private readonly entry: Entry,
    private readonly notices: Notices,
    private readonly ended: (reason: string | null) => void,
  ) {
    this.bar = new RoomBar(inviteUrl(entry.room), inviteUrl(entry.room, true), notices, () => void this.hear());
    this.controls = new Controls(room, this.stage, {
      leave: () => void room.disconnect(),
      failed: (error, device) => this.failed(error, device),
    });
    this.element = h('div', { class: 'call' }, this.bar.element, this.stage.element, this.controls.element, this.sound.element);
    for (const event of REDRAW_ON) room.on(event, this.soon);
    room.on(RoomEvent.Disconnected, (reason) => this.disconnected(reason));
    room.on(RoomEvent.Reconnecting, () => (this.quietUntil = Number.POSITIVE_INFINITY));
    room.on(RoomEvent.Reconnected, () => {
      this.quietUntil = performance.now() + QUIET_MS;
      notices.say('Connected again.', 'good');
    });
    room.on(RoomEvent.MediaDevicesError, (error, kind) => this.failed(error, kind === 'videoinput' ? 'camera' : 'microphone'));
    room.on(RoomEvent.ParticipantConnected, (participant) => this.announce(participant, 'joined'));
    room.on(RoomEvent.ParticipantDisconnected, (participant) => this.announce(participant, 'left'));
    room.on(RoomEvent.TrackSubscriptionFailed, (_sid, participant) => notices.say(`A track of ${participant.name || participant.identity} could not be received.`, 'bad'));
    this.timer = setInterval(() => void this.measure(), FIGURES_EVERY_MS);
  }

  get name(): string {
    return this.room.name || this.entry.room;
  }

  focus(): void {
    this.bar.focus();
  }

  // One after the other, and each failure by itself: without a camera one can still talk.
  private async startDevices(entry: Entry): Promise<void> {
    const me = this.room.localParticipant;
    if (entry.microphone) await me.setMicrophoneEnabled(true).catch((error: unknown) => this.failed(error, 'microphone'));
    if (entry.camera) await me.setCameraEnabled(true).catch((error: unknown) => this.failed(error, 'camera'));
    this.soon();
  }

  private readonly soon = (): void => {
    if (this.redrawing) return;
    this.redrawing = true;
    // A microtask and not an animation frame: sound must start in a tab that is not in front, too.
    queueMicrotask(() => {
      this.redrawing = false;
      if (this.joined) this.redraw();
    });
  };

  private redraw(): void {
    const people: Participant[] = [this.room.localParticipant, ...this.room.remoteParticipants.values()];
    const wanted = people.flatMap((participant) => tilesOf(participant));
    for (const [key, tile] of this.tiles) {
      if (wanted.some((want) => want.key === key)) continue;
      tile.dispose();
      this.tiles.delete(key);
    }
    for (const { key, participant, kind } of wanted) {
      // After a full reconnect the same person is another object.
      if (this.tiles.get(key)?.participant !== participant) {
        this.tiles.get(key)?.dispose();
        this.tiles.set(key, new Tile(participant, kind));
      }
      this.tiles.get(key)?.update();
    }
    this.stage.arrange(wanted.map(({ key }) => this.tiles.get(key)).filter((tile) => tile !== undefined));
    this.sound.update(this.room.remoteParticipants.values());
    this.ears.update(people);
    this.controls.update();
    this.bar.update({
      name: this.name,
      people: people.length,
      state: this.room.state,
      soundBlocked: !this.room.canPlaybackAudio && this.room.state === ConnectionState.Connected,
    });
  }

  private async measure(): Promise<void> {
    if (!this.joined || document.hidden) return;
    this.bar.tick();
    if (!this.stage.showsFigures || this.element.closest('[hidden]')) return;
    await Promise.all([...this.tiles.values()].map(async (tile) => {
      const [video, audio] = await Promise.all([this.meter.read(tile.videoTrack), this.meter.read(tile.audioTrack)]);
      tile.tell(video, audio);
    }));
  }

  private async hear(): Promise<void> {
    await this.room.startAudio().catch(() => this.notices.say('The browser still keeps the sound back. Try a click on the page.', 'bad'));
    this.ears.resume();
    this.soon();
  }

  private failed(error: unknown, device: Device): void {
    this.notices.say(deviceTrouble(error, device), 'bad');
    this.soon();
  }

  private announce(participant: RemoteParticipant, what: string): void {
    if (!this.joined || performance.now() < this.quietUntil || this.room.remoteParticipants.size > ANNOUNCE_MAX) return;
    this.notices.say(`${participant.name || participant.identity} ${what}.`);
  }

  private disconnected(reason: DisconnectReason | undefined): void {
    if (!this.joined) return;
    this.dispose();
    this.ended(endReason(reason));
  }

  private dispose(): void {
    this.joined = false;
    clearInterval(this.timer);
    this.ears.close();
    this.sound.close();
    this.stage.close();
    this.controls.close();
    for (const tile of this.tiles.values()) tile.dispose();
    this.tiles.clear();
  }
}

interface WantedTile {
  key: string;
  participant: Participant;
  kind: 'person' | 'screen';
}

function tilesOf(participant: Participant): WantedTile[] {
  const { identity } = participant;
  const tiles: WantedTile[] = [{ key: identity, participant, kind: 'person' }];
  if (participant.getTrackPublication(Track.Source.ScreenShare)?.track) tiles.push({ key: `${identity} screen`, participant, kind: 'screen' });
  return tiles;
}
