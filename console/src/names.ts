// Names for people who have not typed one, and identities that no two tabs share.

const QUALITIES = ['Amber', 'Brisk', 'Calm', 'Clear', 'Coral', 'Early', 'Gentle', 'Golden', 'Keen', 'Lucky', 'Merry', 'Quiet', 'Silver', 'Sunny', 'Swift', 'Warm'];
const ANIMALS = ['Badger', 'Beaver', 'Crane', 'Dipper', 'Finch', 'Grebe', 'Heron', 'Kingfisher', 'Lark', 'Otter', 'Perch', 'Pike', 'Robin', 'Salmon', 'Swan', 'Teal'];
const SUFFIX_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';
const SLUG_MAX = 40;

export function friendlyName(): string {
  return `${pick(QUALITIES)} ${pick(ANIMALS)}`;
}

/** A server lets an identity in once: a second tab with the same name would push the first one out, hence the suffix. */
export function freshIdentity(name: string): string {
  const slug = name.normalize('NFKD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, SLUG_MAX);
  const suffix = Array.from({ length: 5 }, () => SUFFIX_LETTERS[random(SUFFIX_LETTERS.length)]).join('');
  return `${slug || 'guest'}-${suffix}`;
}

function pick(words: readonly string[]): string {
  return words[random(words.length)] ?? '';
}

// getRandomValues and not randomUUID: the latter is missing on plain http pages, where the console must work as well.
function random(below: number): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % below;
}
