// A participant on @livekit/rtc-node: the native client, in this process.
import { AudioFrame, AudioSource, AudioStream, LocalAudioTrack, Room, RoomEvent, TrackKind, TrackPublishOptions, TrackSource, dispose } from '@livekit/rtc-node';
import { eventually, pause } from './wait.mjs';

const WATCHED = [
  RoomEvent.ParticipantConnected, RoomEvent.ParticipantDisconnected, RoomEvent.TrackPublished, RoomEvent.TrackSubscribed,
  RoomEvent.DataReceived, RoomEvent.Disconnected, RoomEvent.RoomMetadataChanged, RoomEvent.ParticipantMetadataChanged,
  RoomEvent.Reconnecting, RoomEvent.Reconnected,
];
const SAMPLE_RATE = 48_000;
const SAMPLES_PER_FRAME = 480;
// What of a sound is looked at: half a second.
const SAMPLES_HEARD = 24_000;

export async function joinFromNode(url, token, { listens = false } = {}) {
  const room = new Room();
  const peer = new NodePeer(room);
  for (const name of WATCHED) room.on(name, (...values) => peer.events.push({ name, values }));
  if (listens) {
    room.on(RoomEvent.TrackSubscribed, (track, _publication, { identity }) => {
      if (track.kind === TrackKind.KIND_AUDIO) peer.listen(track, identity);
    });
  }
  await room.connect(url, token, { autoSubscribe: true, dynacast: false });
  return peer;
}

// Once at the end of a test file: the native library keeps the process alive otherwise.
export const disposeNodePeers = () => dispose();

class NodePeer {
  constructor(room) {
    Object.assign(this, { room, events: [], sounding: false, heard: new Map() });
  }

  event(name, test = () => true, ms = 10_000) {
    return eventually(() => this.events.find((event) => event.name === name && test(...event.values)), ms, `the event ${name}`);
  }

  async publishTone(hz) {
    const source = new AudioSource(SAMPLE_RATE, 1);
    const options = new TrackPublishOptions();
    options.source = TrackSource.SOURCE_MICROPHONE;
    const publication = await this.room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('tone', source), options);
    this.sounding = true;
    this.feeding = this.#feed(source, hz);
    return publication.sid;
  }

  async #feed(source, hz) {
    let sample = 0;
    while (this.sounding) {
      const frame = AudioFrame.create(SAMPLE_RATE, 1, SAMPLES_PER_FRAME);
      for (let i = 0; i < SAMPLES_PER_FRAME; i++) frame.data[i] = 9000 * Math.sin((2 * Math.PI * hz * sample++) / SAMPLE_RATE);
      await source.captureFrame(frame).catch(() => { this.sounding = false; });
    }
  }

  // Until the track ends; what was heard last stands in `heard` by identity.
  async listen(track, identity) {
    const sound = new Float64Array(SAMPLES_HEARD);
    this.heard.set(identity, sound);
    for await (const { data } of new AudioStream(track, SAMPLE_RATE, 1)) {
      sound.copyWithin(0, data.length);
      sound.set(data, SAMPLES_HEARD - data.length);
    }
  }

  // Most of what is heard of somebody is a tone of so many hertz (Goertzel's algorithm).
  hears(identity, hz) {
    const sound = this.heard.get(identity) ?? [];
    const turn = 2 * Math.cos((2 * Math.PI * hz) / SAMPLE_RATE);
    let [last, before, energy] = [0, 0, 0];
    for (const sample of sound) {
      [last, before] = [sample + turn * last - before, last];
      energy += sample * sample;
    }
    const share = (2 * (last * last + before * before - turn * last * before)) / (SAMPLES_HEARD * energy);
    return energy / SAMPLES_HEARD > 10_000 && share > 0.5;
  }

  say(text) {
    return this.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true });
  }

  keepSaying(prefix, intervalMs) {
    let number = 0;
    this.saying = setInterval(() => { this.say(`${prefix} ${number++}`).catch(() => {}); }, intervalMs);
  }

  stopSaying() {
    clearInterval(this.saying);
  }

  async leave() {
    this.stopSaying();
    this.sounding = false;
    // a source whose track is nowhere takes no frame any more
    await Promise.race([this.feeding, pause(2000)]);
    await this.room.disconnect();
  }
}
