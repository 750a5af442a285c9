// A build step: writes dist/licences.txt, the licence of every package whose code ended up in the bundle. The texts ask for it.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const LICENCE_FILE = /^(licen[cs]e|copying|notice)(\.|$)/i;

export function licences() {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const seen = new Set();
      for (const chunk of Object.values(bundle)) {
        for (const id of chunk.type === 'chunk' ? Object.keys(chunk.modules) : []) {
          const folder = packageFolder(id);
          if (folder) collect(folder, seen);
        }
      }
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: [...seen].sort().map(describe).join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}

function packageFolder(id) {
  const match = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll('\\', '/'));
  return match?.[1];
}

// A published bundle contains its dependencies' code, so that a package counts together with all that it depends on.
function collect(folder, seen) {
  if (seen.has(folder)) return;
  seen.add(folder);
  for (const name of Object.keys(manifest(folder).dependencies ?? {})) {
    const nested = [path.join(folder, 'node_modules', name), path.join(HERE, 'node_modules', name)].find((place) => fs.existsSync(place));
    if (nested) collect(nested, seen);
  }
}

function describe(folder) {
  const { name, version, license } = manifest(folder);
  const texts = fs.readdirSync(folder).filter((file) => LICENCE_FILE.test(file)).sort();
  const body = texts.map((file) => fs.readFileSync(path.join(folder, file), 'utf8').trim()).join('\n\n');
  return `${name} ${version} (${license ?? 'see below'})\n\n${body}\n`;
}

function manifest(folder) {
  return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
}
