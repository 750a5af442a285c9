// Two lines over the last minute on one scale, without axes: the numbers stand beside it.
import { SPAN_MS, type Point } from './history';
import { setAttribute, svg } from './dom';

const WIDTH = 240;
const HEIGHT = 56;
// Room for half the stroke at the top and at the bottom.
const INSET = 2;

export class Sparkline {
  readonly element: SVGSVGElement;
  private readonly area = svg('path', { class: 'spark-area' });
  private readonly up = svg('path', { class: 'spark-line in' });
  private readonly down = svg('path', { class: 'spark-line out' });

  constructor(private readonly label: string) {
    this.element = svg(
      'svg',
      { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
      svg('path', { class: 'spark-base', d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }),
      this.area,
      this.up,
      this.down,
    );
  }

  draw(up: Point[], down: Point[], now: number, words: string): void {
    const top = Math.max(...[...up, ...down].map((point) => point.value ?? 0), 1e-9);
    setAttribute(this.area, 'd', path(down, now, top, true));
    setAttribute(this.up, 'd', path(up, now, top, false));
    setAttribute(this.down, 'd', path(down, now, top, false));
    setAttribute(this.element, 'aria-label', `${this.label}: ${words}`);
  }
}

function path(points: Point[], now: number, top: number, closed: boolean): string {
  const drawn: string[] = [];
  let run: string[] = [];
  let [first, last] = [0, 0];
  const finish = (): void => {
    if (run.length > 1) drawn.push(`M${run.join('L')}${closed ? `L${last.toFixed(1)} ${HEIGHT}L${first.toFixed(1)} ${HEIGHT}Z` : ''}`);
    run = [];
  };
  for (const { at, value } of points) {
    if (value === null) {
      finish();
      continue;
    }
    last = WIDTH * (1 - (now - at) / SPAN_MS);
    if (run.length === 0) first = last;
    const y = HEIGHT - INSET - (value / top) * (HEIGHT - 2 * INSET);
    run.push(`${last.toFixed(1)} ${y.toFixed(1)}`);
  }
  finish();
  return drawn.join('');
}
