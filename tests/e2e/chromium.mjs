// Headless Chromium with the published livekit-client. One Tab is one page, one page at most one participant.
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { eventually } from './wait.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const clientDist = path.dirname(createRequire(import.meta.url).resolve('livekit-client'));
const BINARIES = [process.env.CHROME, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
  // candidates as addresses, not as mDNS names; media to loopback where the machine has no other network
  '--disable-features=WebRtcHideLocalIpsWithMdns', '--allow-loopback-in-peer-connection',
  // several pages are in the back at once and all must go on at full speed
  '--disable-renderer-backgrounding', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows',
];

export async function startChromium() {
  const executablePath = BINARIES.find((file) => file && fs.existsSync(file));
  if (!executablePath) throw new Error('no Chromium: install the package chromium, or set CHROME');
  const site = await servePages();
  const browser = await chromium.launch({ executablePath, args: FLAGS, timeout: 60_000 });
  return new Chromium(browser, site);
}

class Chromium {
  constructor(browser, site) {
    Object.assign(this, { browser, site });
  }

  async tab() {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const tab = new Tab(context, page);
    page.on('console', (message) => tab.console.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => tab.console.push(`error: ${error.message}`));
    await page.goto(`http://127.0.0.1:${this.site.address().port}/`);
    return tab;
  }

  async stop() {
    await this.browser.close();
    this.site.close();
  }
}

class Tab {
  constructor(context, page) {
    Object.assign(this, { context, page, console: [] });
  }

  // Calls window.tab.<name>(...args) in the page.
  call(name, ...args) {
    return this.page.evaluate(([n, a]) => window.tab[n](...a), [name, args]).catch((error) => {
      throw new Error(`${name}: ${error.message.split('\n')[0].replace('page.evaluate: ', '')}`);
    });
  }

  // Waits until window.tab.<name>(...args) satisfies the test; returns its value.
  until(name, args, test, what, ms = 15_000) {
    return eventually(async () => {
      const value = await this.call(name, ...args);
      return value !== null && test(value) ? { value } : (this.last = value, false);
    }, ms, what).then((found) => found.value, (error) => {
      throw new Error(`${error.message}; ${name}: ${JSON.stringify(this.last)}; console: ${this.console.slice(-5).join(' | ')}`);
    });
  }

  sees(identity, ms = 10_000) {
    return this.until('view', [], (view) => view.remotes[identity], `${identity} to appear`, ms);
  }

  missesSoon(identity, ms = 10_000) {
    return this.until('view', [], (view) => !view.remotes[identity], `${identity} to disappear`, ms);
  }

  subscribed(identity, source, ms = 15_000) {
    return this.until('remoteTrack', [identity, source], (track) => track.subscribed, `a subscription to ${identity}/${source}`, ms);
  }

  // n further frames decoded
  async frames(identity, source, n = 15, ms = 20_000) {
    const start = (await this.call('inbound', identity, source))?.frames ?? 0;
    return this.until('inbound', [identity, source], (stats) => stats.frames - start >= n, `${n} frames of ${identity}/${source}`, ms);
  }

  color(identity, source, rgb, ms = 15_000) {
    return this.until('color', [identity, source], (seen) => seen.every((value, i) => Math.abs(value - rgb[i]) < 60), `the colour ${rgb}`, ms);
  }

  pitch(identity, hz, ms = 15_000) {
    return this.until('pitch', [identity], (seen) => Math.abs(seen.hz - hz) < 15 && seen.decibel > -60, `a tone of ${hz} Hz`, ms);
  }

  event(name, match = {}, from = 0, ms = 10_000) {
    const fits = (event) => event.name === name && Object.entries(match).every(([key, value]) => event[key] === value);
    return this.until('eventsFrom', [from], (events) => events.some(fits), `the event ${name} ${JSON.stringify(match)}`, ms);
  }

  close() {
    return this.context.close();
  }
}

async function servePages() {
  const pages = new Map([
    ['/', ['text/html', path.join(here, 'page/tab.html')]],
    ['/tab.js', ['text/javascript', path.join(here, 'page/tab.js')]],
    ['/livekit-client.js', ['text/javascript', path.join(clientDist, 'livekit-client.umd.js')]],
  ]);
  const site = http.createServer((request, response) => {
    const [type, file] = pages.get(request.url) ?? [];
    if (!file) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': type }).end(fs.readFileSync(file));
  });
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  return site;
}
