// A participant on @livekit/rtc-node: the native client, in this process.
import { AudioFrame, AudioSource, LocalAudioTrack, Room, RoomEvent, TrackPublishOptions, TrackSource, dispose } from '@livekit/rtc-node';
import { eventually, pause } from './wait.mjs';

const WATCHED = [
  RoomEvent.ParticipantConnected, RoomEvent.ParticipantDisconnected, RoomEvent.TrackPublished, RoomEvent.TrackSubscribed,
  RoomEvent.DataReceived, RoomEvent.Disconnected, RoomEvent.RoomMetadataChanged, RoomEvent.ParticipantMetadataChanged,
];
const SAMPLE_RATE = 48_000;
const SAMPLES_PER_FRAME = 480;

export async function joinFromNode(url, token) {
  const room = new Room();
  const peer = new NodePeer(room);
  for (const name of WATCHED) room.on(name, (...values) => peer.events.push({ name, values }));
  await room.connect(url, token, { autoSubscribe: true, dynacast: false });
  return peer;
}

// Once at the end of a test file: the native library keeps the process alive otherwise.
export const disposeNodePeers = () => dispose();

class NodePeer {
  constructor(room) {
    Object.assign(this, { room, events: [], sounding: false });
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

  async leave() {
    this.sounding = false;
    // a source whose track is nowhere takes no frame any more
    await Promise.race([this.feeding, pause(2000)]);
    await this.room.disconnect();
  }
}
