// Plays what the others send. One audio element per track, out of sight.
import { type RemoteParticipant, type Track } from 'livekit-client';
import { h } from './dom';

export class Sound {
  readonly element = h('div', { hidden: true });
  private readonly playing = new Map<Track, HTMLMediaElement>();

  update(participants: Iterable<RemoteParticipant>): void {
    const wanted = new Set<Track>();
    for (const participant of participants) {
      for (const { track } of participant.audioTrackPublications.values()) {
        if (track) wanted.add(track);
      }
    }
    for (const track of [...this.playing.keys()]) {
      if (!wanted.has(track)) this.stop(track);
    }
    for (const track of wanted) {
      if (this.playing.has(track)) continue;
      const element = track.attach();
      this.playing.set(track, element);
      this.element.append(element);
    }
  }

  close(): void {
    for (const track of [...this.playing.keys()]) this.stop(track);
  }

  private stop(track: Track): void {
    track.detach();
    this.playing.get(track)?.remove();
    this.playing.delete(track);
  }
}
