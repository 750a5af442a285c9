// What a track really does, from the browser's own statistics.
import { LocalTrack, RemoteTrack, type Track } from 'livekit-client';
import { codec, count, plural } from './format';

export interface TrackFigures {
  kind: 'audio' | 'video';
  width: number;
  height: number;
  fps: number;
  /** null: the first look, no rate yet. */
  kilobits: number | null;
  codec: string;
  /** Simulcast layers that are being sent; 1 for what is received. */
  layers: number;
  lost: number | null;
}

type Entry = Record<string, unknown>;

interface Look {
  at: number;
  bytes: Map<string, number>;
}

export class Meter {
  // Weak, so that a track which ended takes its numbers along.
  private readonly looks = new WeakMap<Track, Look>();

  async read(track: Track | undefined): Promise<TrackFigures | null> {
    if (!(track instanceof LocalTrack || track instanceof RemoteTrack)) return null;
    const report = await track.getRTCStatsReport().catch(() => undefined);
    if (!report) return null;
    const entries: Entry[] = [];
    report.forEach((entry: Entry) => entries.push(entry));
    const streams = entries.filter(({ type }) => type === (track.isLocal ? 'outbound-rtp' : 'inbound-rtp'));
    if (streams.length === 0) return null;
    return this.figures(track, streams, entries);
  }

  private figures(track: Track, streams: Entry[], entries: Entry[]): TrackFigures {
    const bytes = new Map(streams.map((stream) => [String(stream.id), number(stream.bytesSent) || number(stream.bytesReceived)]));
    const at = number(streams[0]?.timestamp);
    const before = this.looks.get(track);
    this.looks.set(track, { at, bytes });
    const grown = streams.map((stream) => {
      const [from, to] = [before?.bytes.get(String(stream.id)), bytes.get(String(stream.id)) ?? 0];
      return from === undefined ? 0 : Math.max(0, to - from);
    });
    // Of several layers the largest one that flows stands for the picture.
    const flowing = streams.filter((_stream, index) => (grown[index] ?? 0) > 0);
    const main = [...(flowing.length > 0 ? flowing : streams)].sort((a, b) => number(b.frameHeight) - number(a.frameHeight))[0] ?? {};
    const kilobits = before && at > before.at ? (grown.reduce((sum, part) => sum + part, 0) * 8) / (at - before.at) : null;
    // Only the far end knows what was lost of what is sent.
    const lossReports = track.isLocal ? entries.filter(({ type }) => type === 'remote-inbound-rtp') : streams;
    return {
      kind: track.kind === 'video' ? 'video' : 'audio',
      width: number(main.frameWidth),
      height: number(main.frameHeight),
      fps: number(main.framesPerSecond),
      kilobits,
      codec: codec(String(entries.find(({ id }) => id === main.codecId)?.mimeType ?? '')),
      layers: Math.max(1, flowing.length),
      lost: lossReports.length > 0 ? lossReports.reduce((sum, { packetsLost }) => sum + Math.max(0, number(packetsLost)), 0) : null,
    };
  }
}

export function describe(figures: TrackFigures): string {
  const parts = [
    figures.width > 0 && `${figures.width}×${figures.height}`,
    figures.kind === 'video' && `${Math.round(figures.fps)} fps`,
    figures.kilobits !== null && `${count(figures.kilobits)} kbit/s`,
    figures.codec,
    figures.layers > 1 && plural(figures.layers, 'layer'),
    figures.lost !== null && `${count(figures.lost)} lost`,
  ];
  return parts.filter(Boolean).join(' · ');
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
