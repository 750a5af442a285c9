// Numbers in words that people read at a glance.

const GROUPED = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
export const UNKNOWN = '–';

export function count(value: number | null | undefined): string {
  return known(value) ? GROUPED.format(value) : UNKNOWN;
}

/** A rate: small ones with a decimal, since 0.4 packets per second is not none. */
export function rate(value: number | null | undefined): string {
  if (!known(value)) return UNKNOWN;
  return value > 0 && value < 9.95 ? trimmed(value, 1) : GROUPED.format(value);
}

export function mbit(value: number | null | undefined): string {
  if (!known(value)) return UNKNOWN;
  if (value >= 99.95) return GROUPED.format(value);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

export function bytes(value: number | null | undefined): string {
  if (!known(value)) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = value;
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
  return `${unit === 0 || size >= 99.95 ? GROUPED.format(size) : trimmed(size, 1)} ${units[unit]}`;
}

/** Two units at most: "3 d 4 h", "5 min 12 s". */
export function duration(seconds: number | null | undefined): string {
  if (!known(seconds)) return UNKNOWN;
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes, rest] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${rest} s`;
  return `${rest} s`;
}

/** As a clock shows it: "4:07", "1:04:07". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** "video/VP8" to "VP8", "audio/opus" to "Opus", "video/H264" to "H.264". */
export function codec(mimeType: string): string {
  const name = (mimeType.split('/').pop() ?? '').split(';')[0]?.trim() ?? '';
  const known: Record<string, string> = { OPUS: 'Opus', RED: 'RED', H264: 'H.264', H265: 'H.265' };
  return known[name.toUpperCase()] ?? name.toUpperCase();
}

export function initials(name: string): string {
  const words = name.trim().split(/[\s_.-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters.map((word) => Array.from(word ?? '')[0] ?? '').join('').toUpperCase() || '?';
}

/** The same colour angle for the same person, on every page. */
export function hue(identity: string): number {
  let hash = 0;
  for (const char of identity) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 3600;
  return hash % 360;
}

function known(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function trimmed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0+$/, '');
}
