// The two questions the console asks its server, and where that server is. Addresses are relative to the page, so that the console
// also works where a reverse proxy has put the whole server below a path.
import { readSnapshot, type Snapshot } from './snapshot';

const PATIENCE_MS = 8000;
const MESSAGE_MAX = 240;

export interface Session {
  token: string;
  room: string;
  identity: string;
}

/** The server answered, and not with what was asked for; or (status 0) it did not answer. `message` is its own words, if any. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** The server is there and has no such page, or does not want to tell: not the development mode. */
  get isRefusal(): boolean {
    return this.status >= 400 && this.status < 500;
  }
}

export async function fetchSession(room: string, identity: string, name: string): Promise<Session> {
  const answer = (await ask('api/session', { room, identity, name })) as Partial<Session> | null;
  if (typeof answer?.token !== 'string' || answer.token === '') throw new ApiError(502, 'The answer holds no token.');
  return { token: answer.token, room: answer.room ?? room, identity: answer.identity ?? identity };
}

export async function fetchSnapshot(): Promise<Snapshot> {
  return readSnapshot(await ask('api/overview', {}));
}

/** The media server of this page: one level above /console/, by WebSocket. */
export function signalUrl(): string {
  const url = new URL('..', document.baseURI);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href.replace(/\/$/, '');
}

export function inviteUrl(room: string, joinAtOnce = false): string {
  const url = new URL('.', document.baseURI);
  url.searchParams.set('room', room);
  if (joinAtOnce) url.searchParams.set('join', '1');
  return url.href;
}

async function ask(path: string, query: Record<string, string>): Promise<unknown> {
  const url = new URL(path, document.baseURI);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), headers: { accept: 'application/json' }, cache: 'no-store' });
    body = await response.text();
  } catch {
    throw new ApiError(0, 'The server cannot be reached.');
  }
  if (!response.ok) throw new ApiError(response.status, ownWords(body, response));
  try {
    return JSON.parse(body);
  } catch {
    throw new ApiError(502, 'The answer is not JSON.');
  }
}

// An error is JSON with a message under one of the usual names, or plain text; a page of markup is of no use to anybody.
function ownWords(body: string, response: Response): string {
  let words = body.trim();
  try {
    const json: unknown = JSON.parse(words);
    if (typeof json === 'string') words = json;
    else if (typeof json === 'object' && json !== null) {
      const { error, message, msg } = json as Record<string, unknown>;
      words = [error, message, msg].find((value) => typeof value === 'string') ?? '';
    }
  } catch {
    if (words.startsWith('<')) words = '';
  }
  return words.slice(0, MESSAGE_MAX) || `${response.status} ${response.statusText}`.trim();
}
