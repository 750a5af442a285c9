// Who speaks, by ear: the level of each participant's sound as it arrives here. It makes the sign of speech lively, and stands in for
// the server's word where that does not come.
import { type Participant, Track } from 'livekit-client';

const EVERY_MS = 100;
const WINDOW_SAMPLES = 2048;
// About -36 dBFS: speech at a usual distance is well above, a quiet room well below.
const SPEECH_LEVEL = 0.016;
// Between two words nobody has stopped speaking.
const HOLD_MS = 600;
// The meter's scale: from silence to loud speech.
const FLOOR_DB = -50;
const CEILING_DB = -12;

const GESTURES = ['pointerdown', 'keydown'] as const;

type Heard = (identity: string, level: number, speaking: boolean) => void;

export class Ears {
  private readonly context = new AudioContext();
  private readonly ears = new Map<string, Ear>();
  private readonly timer = setInterval(() => this.listen(), EVERY_MS);

  constructor(private readonly heard: Heard) {
    // Without a gesture of the visitor the browser keeps the context asleep; any gesture will do.
    for (const gesture of GESTURES) document.addEventListener(gesture, this.resume, { capture: true });
  }

  readonly resume = (): void => {
    if (this.context.state === 'suspended') void this.context.resume().catch(() => undefined);
  };

  update(participants: Participant[]): void {
    const tracks = new Map(participants.map((participant) => [participant.identity, voiceOf(participant)]));
    for (const [identity, ear] of this.ears) {
      if (tracks.get(identity) === ear.track) continue;
      ear.close();
      this.ears.delete(identity);
      this.heard(identity, 0, false);
    }
    for (const [identity, track] of tracks) {
      if (track && !this.ears.has(identity)) this.ears.set(identity, new Ear(this.context, track));
    }
  }

  close(): void {
    clearInterval(this.timer);
    for (const gesture of GESTURES) document.removeEventListener(gesture, this.resume, { capture: true });
    for (const ear of this.ears.values()) ear.close();
    this.ears.clear();
    void this.context.close();
  }

  private listen(): void {
    const now = performance.now();
    for (const [identity, ear] of this.ears) {
      const level = ear.level();
      if (level > SPEECH_LEVEL) ear.lastSpeech = now;
      this.heard(identity, scale(level), now - ear.lastSpeech < HOLD_MS);
    }
  }
}

class Ear {
  lastSpeech = Number.NEGATIVE_INFINITY;
  private readonly source: MediaStreamAudioSourceNode;
  private readonly analyser: AnalyserNode;
  private readonly window = new Float32Array(WINDOW_SAMPLES);

  constructor(
    context: AudioContext,
    readonly track: MediaStreamTrack,
  ) {
    this.source = context.createMediaStreamSource(new MediaStream([track]));
    this.analyser = new AnalyserNode(context, { fftSize: WINDOW_SAMPLES });
    // Not on to the loudspeaker: the audio elements play.
    this.source.connect(this.analyser);
  }

  /** Root mean square of the last few dozen milliseconds. */
  level(): number {
    this.analyser.getFloatTimeDomainData(this.window);
    return Math.sqrt(this.window.reduce((sum, sample) => sum + sample * sample, 0) / WINDOW_SAMPLES);
  }

  close(): void {
    this.source.disconnect();
  }
}

function voiceOf(participant: Participant): MediaStreamTrack | undefined {
  for (const publication of participant.audioTrackPublications.values()) {
    const track = publication.source === Track.Source.ScreenShareAudio || publication.isMuted ? undefined : publication.track?.mediaStreamTrack;
    if (track?.readyState === 'live') return track;
  }
  return undefined;
}

function scale(level: number): number {
  const decibels = 20 * Math.log10(Math.max(level, 1e-6));
  return Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
