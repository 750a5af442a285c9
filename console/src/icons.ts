// The console's icons, drawn on a field of 24 by 24 with one stroke width.
import { setAttribute, svg } from './dom';

const PATHS = {
  mic: 'M12 3.5a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3',
  micOff: 'M9 9v2.5a3 3 0 0 0 5 2.2M15 11V6.5a3 3 0 0 0-5.8-1M5.5 11.5a6.5 6.5 0 0 0 10.7 5M18.5 11.5a6.5 6.5 0 0 1-.5 2.5M12 18v3M4 4l16 16',
  camera: 'M5 7h8a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2M15 11l6-3.5v9L15 13',
  cameraOff: 'M9.5 7H13a2 2 0 0 1 2 2v3.5M15 15.5a2 2 0 0 1-2 1.5H5a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2M15 11l6-3.5v9l-4-2.3M4 4l16 16',
  screen: 'M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1M9 20.5h6M12 14V8.5M9.5 10.5L12 8l2.5 2.5',
  screenOff: 'M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1M9 20.5h6M9.7 8.7l4.6 4.6M14.3 8.7l-4.6 4.6',
  leave: 'M10 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h4M9.5 12H20.5M16.5 8l4 4-4 4',
  devices: 'M4 7h9M18 7h2M4 17h2M11 17h9M15.5 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M8.5 14.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5',
  figures: 'M4 20V11M9.3 20V4M14.7 20v-6M20 20V8.5',
  link: 'M10 14a4 4 0 0 0 5.7 0l3.1-3.1a4 4 0 0 0-5.7-5.7l-1.3 1.3M14 10a4 4 0 0 0-5.7 0l-3.1 3.1a4 4 0 0 0 5.7 5.7l1.3-1.3',
  sound: 'M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11',
  close: 'M6 6l12 12M18 6L6 18',
  chevron: 'M9 6l6 6-6 6',
  data: 'M4 7h16M4 12h10M4 17h13',
  shuffle: 'M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15',
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration: whoever places it gives the control or the sign its words. */
export function icon(name: IconName): SVGSVGElement {
  return svg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, svg('path', { d: PATHS[name] }));
}

export function setIcon(drawn: SVGSVGElement, name: IconName): void {
  const path = drawn.firstElementChild;
  if (path) setAttribute(path, 'd', PATHS[name]);
}
