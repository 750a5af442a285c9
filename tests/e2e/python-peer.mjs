// A participant on the published Python client, in a process of its own (python/peer.py).
import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './wait.mjs';

const PYTHON = process.env.E2E_PYTHON ?? fileURLToPath(new URL('../../target/tools/venv/bin/python', import.meta.url));
const PEER = fileURLToPath(new URL('python/peer.py', import.meta.url));

export async function joinFromPython(url, token, identity, connections, ...more) {
  const peer = new PythonPeer(spawn(PYTHON, [PEER, url, token, String(connections), ...more], { stdio: ['pipe', 'pipe', 'pipe'] }));
  try {
    await peer.report((r) => r.joined === identity, `${identity} to join`);
  } catch (error) {
    await peer.end();
    throw error;
  }
  return peer;
}

class PythonPeer {
  constructor(child) {
    Object.assign(this, { child, reports: [], errors: '' });
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    readline.createInterface({ input: child.stdout }).on('line', (line) => this.reports.push(JSON.parse(line)));
    child.stderr.setEncoding('utf8').on('data', (text) => { this.errors = (this.errors + text).slice(-4000); });
  }

  // The first report that fits, of those after `from`.
  report(fits, what, { from = 0, ms = 30_000 } = {}) {
    return eventually(() => this.reports.slice(from).find(fits), ms, what).catch((error) => {
      throw new Error(`${error.message}; reports: ${JSON.stringify(this.reports)}; ${this.errors}`);
    });
  }

  ask(request) {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  async view() {
    const number = (this.views = (this.views ?? 0) + 1);
    this.ask({ view: number });
    return this.report((r) => r.view === number, 'what it sees', { ms: 5000 });
  }

  async end() {
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 8000);
    await this.exited;
    clearTimeout(timer);
  }
}
