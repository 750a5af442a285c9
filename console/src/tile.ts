// One participant, or one shared screen: picture, name, and the signs of what is going on.
import { type Participant, RemoteTrackPublication, Track, type TrackPublication } from 'livekit-client';
import { h, setAttribute, setText, show } from './dom';
import { hue, initials } from './format';
import { icon } from './icons';
import { describe, type TrackFigures } from './stats';

const QUALITY: Record<string, string> = {
  excellent: 'Connection: excellent',
  good: 'Connection: good',
  poor: 'Connection: poor',
  lost: 'Connection: lost',
};

export class Tile {
  readonly element: HTMLElement;
  videoTrack: Track | undefined;
  audioTrack: Track | undefined;
  private readonly video = h('video', { autoplay: true, playsinline: true, muted: true, tabindex: -1, hidden: true });
  private readonly avatar = h('div', { class: 'avatar', 'aria-hidden': 'true' });
  private readonly name = h('span', { class: 'clip' });
  private readonly muted = h('span', { class: 'sign muted-sign', role: 'img', 'aria-label': 'Microphone off', title: 'Microphone off' }, icon('micOff'));
  private readonly voice = h('span', { class: 'sign voice', role: 'img', 'aria-label': 'Speaking', hidden: true }, h('i'), h('i'), h('i'));
  private readonly quality = h('span', { class: 'quality', role: 'img', hidden: true }, h('i'), h('i'), h('i'));
  private readonly figures = h('p', { class: 'tile-figures', 'aria-hidden': 'true' });
  private readonly paused = h('p', { class: 'tile-note', hidden: true }, 'Picture paused: the connection is too slow');
  private heard = false;

  constructor(
    readonly participant: Participant,
    readonly kind: 'person' | 'screen',
  ) {
    const sign = kind === 'screen' ? icon('screen') : null;
    const plate = h('div', { class: 'plate' }, sign, this.voice, this.muted, this.name);
    this.element = h('article', { class: `tile ${kind}`, 'data-identity': participant.identity }, this.avatar, this.video, this.paused, this.figures, plate, this.quality);
    this.element.style.setProperty('--hue', String(hue(participant.identity)));
  }

  /** Draws the tile from its participant; may be called at any time, any number of times. */
  update(): void {
    const { participant, kind } = this;
    const name = participant.name || participant.identity;
    const words = kind === 'screen' ? `${name}’s screen` : participant.isLocal ? `${name} (you)` : name;
    const [video, audio] = kind === 'screen' ? screenOf(participant) : cameraAndVoiceOf(participant);
    setText(this.name, words);
    setText(this.avatar, initials(name));
    setAttribute(this.element, 'aria-label', words);
    this.picture(video);
    this.audioTrack = audio?.track;
    show(this.muted, kind === 'person' && (!audio || audio.isMuted));
    setAttribute(this.element, 'data-mirrored', kind === 'person' && participant.isLocal);
    const quality = QUALITY[participant.connectionQuality];
    show(this.quality, kind === 'person' && quality !== undefined);
    setAttribute(this.quality, 'data-quality', participant.connectionQuality);
    setAttribute(this.quality, 'aria-label', quality);
    setAttribute(this.quality, 'title', quality);
    this.speaking();
  }

  /** What this page itself hears of the participant, about ten times a second. */
  hear(level: number, speaking: boolean): void {
    this.element.style.setProperty('--level', level.toFixed(2));
    if (speaking === this.heard) return;
    this.heard = speaking;
    this.speaking();
  }

  tell(video: TrackFigures | null, audio: TrackFigures | null): void {
    const lines = [video && describe(video), audio && describe(audio)].filter((line) => line !== null);
    while (this.figures.childElementCount > lines.length) this.figures.lastElementChild?.remove();
    while (this.figures.childElementCount < lines.length) this.figures.append(h('span'));
    lines.forEach((line, index) => setText(this.figures.children[index] as Element, line));
  }

  dispose(): void {
    this.videoTrack?.detach(this.video);
    this.element.remove();
  }

  // The server says who speaks; where it does not, or not yet, the ear says it. For tests it is told which of the two did.
  private speaking(): void {
    const told = this.participant.isSpeaking;
    const speaks = this.kind === 'person' && (told || this.heard);
    setAttribute(this.element, 'data-speaking', speaks && [told && 'server', this.heard && 'ear'].filter(Boolean).join(' '));
    show(this.voice, speaks);
  }

  private picture(publication: TrackPublication | undefined): void {
    const track = publication?.isMuted ? undefined : publication?.track;
    if (track !== this.videoTrack) {
      this.videoTrack?.detach(this.video);
      track?.attach(this.video);
      this.videoTrack = track;
    }
    show(this.video, track !== undefined);
    show(this.paused, publication instanceof RemoteTrackPublication && track?.streamState === Track.StreamState.Paused);
  }
}

function screenOf(participant: Participant): [TrackPublication | undefined, TrackPublication | undefined] {
  return [participant.getTrackPublication(Track.Source.ScreenShare), participant.getTrackPublication(Track.Source.ScreenShareAudio)];
}

// Programs often publish without saying from where: what is not a screen counts as camera and voice.
function cameraAndVoiceOf(participant: Participant): [TrackPublication | undefined, TrackPublication | undefined] {
  const video = [...participant.videoTrackPublications.values()].filter(({ source }) => source !== Track.Source.ScreenShare);
  const audio = [...participant.audioTrackPublications.values()].filter(({ source }) => source !== Track.Source.ScreenShareAudio);
  return [video.find(({ source }) => source === Track.Source.Camera) ?? video[0], audio.find(({ source }) => source === Track.Source.Microphone) ?? audio[0]];
}
