// Puts together what scripts/page compiled: the package, and the page, which holds all that it needs.
//   node bindings/web/bundle.mjs FOLDER

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const folder = process.argv[2];
const source = new URL('.', import.meta.url).pathname;
const text = (path) => readFileSync(path, 'utf8');

// Both binaries are called by the same code.
const glue = text(`${folder}/plain.js`);
if (glue.replaceAll('plain.wasm', 'simd.wasm') !== text(`${folder}/simd.js`))
  throw new Error('the two builds are not called in the same way');
const simd = gzipSync(readFileSync(`${folder}/simd.wasm`), { level: 9 }).toString('base64');
const plain = readFileSync(`${folder}/plain.wasm`).toString('base64');
const binaries = `export const simd = '${simd}';\nexport const plain = '${plain}';\n`;

const packageFolder = `${folder}/package`;
mkdirSync(packageFolder, { recursive: true });
for (const name of ['kronecker.mjs', 'kronecker.d.ts', 'package.json', 'README.md'])
  copyFileSync(source + name, `${packageFolder}/${name}`);
copyFileSync(`${source}../../LICENSE`, `${packageFolder}/LICENSE`);
writeFileSync(`${packageFolder}/module.mjs`, `${glue}\nexport default createModule;\n`);
writeFileSync(`${packageFolder}/binaries.mjs`, binaries);

// A worker that was started from a text cannot import: its modules follow one another.
const withoutModules = (code) => code.replace(/^import .*$/gm, '').replace(/^export (?=const|async)/gm, '');
const worker = [glue, ...[binaries, text(`${source}kronecker.mjs`), text(`${source}worker.mjs`)].map(withoutModules)].join('\n');
const example = readFileSync(`${source}../../examples/data/english_8k.model`).toString('base64');
const parts = {
  'page.css': text(`${source}page.css`),
  'worker.mjs': worker,
  'english_8k.model': example,
  'page.mjs': text(`${source}page.mjs`),
};
for (const [name, part] of Object.entries(parts))
  if (/<\/(script|style)|<!--/i.test(part)) throw new Error(`${name} would end the element that it is in`);
const page = text(`${source}page.html`).replace(/\{\{(.*?)\}\}/g, (_, name) => parts[name]);
writeFileSync(`${folder}/kronecker.html`, page);
console.log(`${folder}/kronecker.html: ${Buffer.byteLength(page)} bytes`);
