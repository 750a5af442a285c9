// The last minute of the server's totals, and what they say about rates.
import type { Snapshot } from './snapshot';

export const SPAN_MS = 60_000;
// A point this long after the one before is a mean over a time in which the page did not ask: no line is drawn to it.
const GAP_MS = 3_500;

export interface Point {
  at: number;
  /** null: the line is broken here. */
  value: number | null;
}

interface Sample {
  at: number;
  uptimeSecs: number | null;
  figures: Map<string, number>;
}

export class History {
  private samples: Sample[] = [];

  /** `at` is the page's monotonic clock in milliseconds. */
  add(at: number, snapshot: Snapshot): void {
    const last = this.samples.at(-1);
    if (last && restarted(last, snapshot)) this.samples = [];
    this.samples.push({ at, uptimeSecs: snapshot.uptimeSecs, figures: snapshot.figures });
    // One sample older than the span stays: the first rate within it needs a predecessor.
    while (this.samples.length > 2 && at - (this.samples[1]?.at ?? at) > SPAN_MS) this.samples.shift();
  }

  /** Per second, over the last interval; null as long as there is none. */
  rate(name: string): number | null {
    return this.rates(name).at(-1)?.value ?? null;
  }

  rates(name: string, factor = 1): Point[] {
    const points: Point[] = [];
    for (const [index, sample] of this.samples.entries()) {
      const before = this.samples[index - 1];
      const [from, to] = [before?.figures.get(name), sample.figures.get(name)];
      if (!before || from === undefined || to === undefined || sample.at <= before.at) continue;
      if (sample.at - before.at > GAP_MS) points.push({ at: sample.at, value: null });
      points.push({ at: sample.at, value: (Math.max(0, to - from) * 1000 * factor) / (sample.at - before.at) });
    }
    return points;
  }

  total(name: string): number | null {
    return this.samples.at(-1)?.figures.get(name) ?? null;
  }

  /** Names which the last answer held. */
  names(): string[] {
    return [...(this.samples.at(-1)?.figures.keys() ?? [])];
  }
}

function restarted(before: Sample, now: Snapshot): boolean {
  return before.uptimeSecs !== null && now.uptimeSecs !== null && now.uptimeSecs < before.uptimeSecs;
}
