// Where the tiles stand: all alike, or beside a shared screen. Their size is chosen so that they fill the place.
import { h, setAttribute } from './dom';
import { keep, recall } from './memory';
import type { Tile } from './tile';

const GAP = 8;
const WIDE = 16 / 9;
const WIDTH_MIN = 150;
const FIGURES_KEY = 'figures';

export interface Fit {
  width: number;
  height: number;
}

export class Stage {
  readonly element: HTMLElement;
  private readonly screens = h('div', { class: 'screens' });
  private readonly people = h('div', { class: 'people-tiles' });
  private readonly observer = new ResizeObserver(() => this.measure());

  constructor() {
    this.element = h('section', { class: 'stage', 'aria-label': 'Participants', 'data-figures': recall(FIGURES_KEY) !== 'off' }, this.screens, this.people);
    this.observer.observe(this.element);
  }

  get showsFigures(): boolean {
    return this.element.hasAttribute('data-figures');
  }

  set showsFigures(wanted: boolean) {
    setAttribute(this.element, 'data-figures', wanted);
    keep(FIGURES_KEY, wanted ? 'on' : 'off');
  }

  arrange(tiles: Tile[]): void {
    place(this.screens, tiles.filter((tile) => tile.kind === 'screen'));
    place(this.people, tiles.filter((tile) => tile.kind === 'person'));
    setAttribute(this.element, 'data-focus', this.screens.childElementCount > 0);
    this.measure();
  }

  close(): void {
    this.observer.disconnect();
  }

  private measure(): void {
    const upright = this.element.clientHeight > this.element.clientWidth;
    for (const group of [this.screens, this.people]) {
      const count = group.childElementCount;
      const [width, height] = [group.clientWidth, group.clientHeight];
      if (count === 0 || width === 0 || height === 0) continue;
      // A camera's picture may lose its margins to fill an upright display; a screen's may not.
      const tallest = group === this.screens ? WIDE : upright ? 0.85 : 4 / 3;
      const fitted = fit(count, width, height, tallest);
      group.style.setProperty('--tile-w', `${fitted.width}px`);
      group.style.setProperty('--tile-h', `${fitted.height}px`);
    }
  }
}

/** The largest tiles of which `count` find room; `tallest` is the least ratio of width to height. Too many: they get scrolled. */
export function fit(count: number, width: number, height: number, tallest: number): Fit {
  let best: Fit = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const across = (width - GAP * (columns - 1)) / columns;
    const down = (height - GAP * (rows - 1)) / rows;
    const tileWidth = Math.min(across, down * WIDE);
    const tileHeight = Math.min(down, tileWidth / tallest);
    if (tileWidth * tileHeight > best.width * best.height) best = { width: tileWidth, height: tileHeight };
  }
  if (best.width < WIDTH_MIN) {
    const columns = Math.max(1, Math.floor((width + GAP) / (WIDTH_MIN + GAP)));
    const across = (width - GAP * (columns - 1)) / columns;
    best = { width: across, height: across / WIDE };
  }
  return { width: Math.floor(best.width), height: Math.floor(best.height) };
}

// Moves only what is out of place: a video that is taken out of the page and put back stops for a moment.
function place(group: HTMLElement, tiles: Tile[]): void {
  const wanted = new Set<Element>(tiles.map((tile) => tile.element));
  for (const child of [...group.children]) {
    if (!wanted.has(child)) child.remove();
  }
  tiles.forEach(({ element }, index) => {
    if (group.children[index] !== element) group.insertBefore(element, group.children[index] ?? null);
  });
}
