// Uses the page in Chromium as a visitor does, from the disk, and compares what it computes with the native program.
//   node check.mjs REPOSITORY

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';

const repository = process.argv[2], folder = join(repository, 'build/page'), data = join(repository, '../shared');
const pagePath = join(folder, 'kronecker.html');
const size = statSync(pagePath).size;
assert(size <= 1_500_000, `the page has ${size} bytes, more than 1.5 MB`);
console.log(`the page: ${size} bytes`);

// ---- what is dropped ------------------------------------------------------------------------------------

const scratch = mkdtempSync(join(tmpdir(), 'kronecker_page_'));
const files = join(scratch, 'files');
mkdirSync(files);
function copyAll(from) {
  if (!existsSync(from)) return console.log(`${from} is not there: its files are left out`);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) copyAll(join(from, entry.name));
    else copyFileSync(join(from, entry.name), join(files, entry.name));
  }
}
copyAll(join(data, 'data/vocab'));
copyAll(join(data, 'cases'));
copyFileSync(join(repository, 'examples/data/english_8k.model'), join(files, 'english_8k.model'));
copyFileSync(join(repository, 'docs/codes.svg'), join(files, 'picture.svg'));
writeFileSync(join(files, 'empty.json'), '');
for (const name of readdirSync(files).filter((name) => name.endsWith('.json.gz')))
  writeFileSync(join(files, name.slice(0, -3)), gunzipSync(readFileSync(join(files, name))));
const html = '<img src=x onerror="document.title=1"><b>bold</b>';
writeFileSync(join(files, 'html.tiktoken'),
  [html, 'plain', ' text'].map((token, rank) => `${Buffer.from(token).toString('base64')} ${rank}\n`).join(''));

// ---- the native program ---------------------------------------------------------------------------------

const native = spawn(join(folder, 'native'), [], { cwd: files, stdio: ['pipe', 'pipe', 'inherit'] });
const answers = createInterface({ input: native.stdout })[Symbol.asyncIterator]();
async function natively(call, request) {
  native.stdin.write(`${JSON.stringify({ call, ...request })}\n`);
  return JSON.parse((await answers.next()).value);
}
const saved = spawn(join(folder, 'native'), ['english_8k.model', '.'], { cwd: files });
await new Promise((resolve) => saved.on('exit', resolve));
const hex = (text) => Buffer.from(text).toString('hex');

// ---- the page -------------------------------------------------------------------------------------------

const asked = [], said = [];
const context = await chromium.launchPersistentContext(join(scratch, 'profile'), {
  executablePath: '/usr/bin/chromium', headless: true, viewport: { width: 1200, height: 1000 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});
context.on('request', (request) => asked.push(request.url()));
context.on('console', (message) => said.push(message.text()));
context.on('weberror', (error) => said.push(String(error.error())));
async function visit(url) {
  const page = await context.newPage();
  page.on('pageerror', (error) => said.push(String(error)));
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  return page;
}
const pageUrl = pathToFileURL(pagePath).href;
const page = await visit(pageUrl);
const text = (id) => page.locator(`#${id}`).textContent();
const shows = (id, wanted) =>
  page.waitForFunction(([id, wanted]) => document.getElementById(id).textContent.includes(wanted), [id, wanted], { polling: 5 });
const ask = (...request) =>
  page.evaluate(async (request) => {
    const bytesAsHex = (key, value) => value instanceof Uint8Array
      ? Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('') : value;
    return JSON.stringify(await globalThis.kronecker(...request), bytesAsHex);
  }, request);

const devtools = await context.newCDPSession(page);
async function drop(...names) {
  const at = { x: 300, y: 300, data: { items: [], files: names.map((name) => join(files, name)), dragOperationsMask: 1 } };
  for (const type of ['dragEnter', 'dragOver', 'drop']) await devtools.send('Input.dispatchDragEvent', { type, ...at });
}
/** Drops a file and waits until it was opened or refused. */
async function dropAndWait(name) {
  await page.evaluate(() => (document.getElementById('opened').textContent = ''));
  const start = performance.now();
  await drop(name);
  await page.waitForFunction((name) => {
    const opened = document.getElementById('opened').textContent;
    return opened.startsWith(name) && !opened.endsWith('…') && opened;
  }, name, { polling: 5 });
  return performance.now() - start;
}
let failures = 0;
/** Runs a test; one that fails does not keep the others from being run. */
async function check(what, test) {
  try {
    const figures = await test();
    console.log(`works: ${what}${figures ? `: ${figures}` : ''}`);
  } catch (error) {
    ++failures;
    console.log(`FAILS: ${what}\n${error.stack}`);
  }
}

// ---- what a visitor does ---------------------------------------------------------------------------------

await check('examples at the first sight', async () => {
  await shows('verdict', 'Cosine 0.935');
  await shows('opened', '8,000 tokens, SentencePiece model');
  await shows('figures', '8,000');
  await shows('saved', '91.85 %');
  await page.waitForFunction(() => document.querySelectorAll('#nearest li').length === 12);
  assert.equal(await page.locator('#nearest .token').first().textContent(), ' government');
});

const published = join(data, 'data/paper/edit_distance.json');
if (existsSync(published))
  await check('typing pairs of words gives the cosines that the paper published', async () => {
    await page.fill('#posDim', '32');
    for (const { anchor, variant, kron_cos } of JSON.parse(readFileSync(published)).pairs) {
      await page.fill('#a', anchor);
      await page.fill('#b', variant);
      await page.waitForFunction((wanted) => {
        const cosine = document.getElementById('formula').textContent.match(/= (-?[\d.]+)\. Lit/);
        return cosine && Math.abs(Number(cosine[1]) - wanted) < 1.51e-4;
      }, Number(kron_cos));
    }
  });

await check('cells name themselves by pointer and keyboard; a wrong number is said in words', async () => {
  await page.fill('#posDim', '16');
  await page.fill('#a', ' the');
  await page.fill('#b', 'the');
  await shows('verdict', 'share 0 cells of the 4 and 3');
  await page.fill('#a', 'compute');
  await page.fill('#b', 'computer');
  await shows('verdict', 'share 7 cells of the 7 and 8');
  assert.equal(await page.locator('#grid .lit-both').count(), 7);
  assert.equal(await page.locator('#grid .lit-b').count(), 1);
  await page.locator('#grid rect[tabindex="0"]').focus();
  await page.keyboard.press('ArrowRight');
  await shows('cell', 'Position 1, byte 0x6F, “o”: cell 111 × 16 + 1 = 1,777, lit by both words.');
  await page.keyboard.press('End');
  await shows('cell', 'Position 7, byte 0x72, “r”: cell 114 × 16 + 7 = 1,831, lit by the second word.');
  await page.locator('#grid rect.field').hover({ position: { x: 5, y: 5 }, force: true });
  await shows('cell', 'not lit');
  await page.fill('#posDim', '4');
  await shows('verdict', '“computer” is cut to 4 of its 8 bytes.');
  await page.fill('#posDim', '0');
  await shows('problem', 'pos_dim 0 is outside 1 to 255');
  await page.fill('#posDim', '16');
  await page.waitForFunction(() => document.getElementById('problem').hidden);
});

await check('costs of a model', async () => {
  await page.selectOption('#model', { label: 'V 131,072, d_model 4096' });
  await page.fill('#posDim', '32');
  await shows('saved', '93.75 %');
  await page.fill('#posDim', '16');
});

await check('a link carries the state', async () => {
  await page.fill('#a', 'naïve & <b>');
  await page.fill('#b', 'naive');
  await page.click('#copy');
  const linked = await visit(page.url());
  assert.equal(await linked.inputValue('#a'), 'naïve & <b>');
  assert.equal(await linked.inputValue('#vocabSize'), '131072');
  await linked.waitForFunction(() => document.getElementById('verdict').textContent.includes('share 2 cells'));
  await linked.close();
});

// ---- files, beside the native program --------------------------------------------------------------------

async function same(request, wanted, what) {
  const got = await ask(...request);
  assert.equal(got, JSON.stringify(wanted), what);
}

for (const name of readdirSync(files).sort())
  await check(name, async () => {
    const wanted = await natively('open', { path: name });
    await dropAndWait(name);
    if (wanted.error !== undefined) {
      assert.equal(await text('problem'), wanted.error);
      return 'refused with the native words';
    }
    assert.equal(await page.locator('#problem').isVisible(), false, await text('problem'));
    const { handle } = wanted, kind = wanted.dModel === undefined ? 'vocabulary' : 'embedding';
    const posDims = kind === 'vocabulary' ? [8, 16, 32] : [16];
    for (const posDim of posDims)
      for (const word of [' computer', 'Straße', '\u0000', 'unfoxlikeunfoxlikeunfoxlikeunfoxlike'])
        await same(['nearest', kind, word, { posDim, count: 10 }],
                   await natively('nearest', { handle, bytes: hex(word), posDim, count: 10 }), `${name}: nearest`);
    const { checksum } = await natively('checksum', { handle, posDim: 16, dModel: 48, seed: 1 });
    await same(['checksum', kind, { posDim: 16, dModel: 48, seed: 1 }], checksum, `${name}: checksum`);
    if (kind === 'vocabulary') {
      for (const posDim of posDims)
        await same(['audit', { posDim }], await natively('audit', { handle, posDim }), `${name}: audit`);
      await same(['tokens', { only: 'cut', posDim: 16, count: 1000 }], await natively('tokens',
        { handle, only: 'cut', containing: '', posDim: 16, first: 0, count: 1000 }), `${name}: tokens`);
    }
    await natively('close', { handle });
    return `${wanted.size} tokens with the native neighbors${kind === 'vocabulary' ? ', audit' : ''} and checksum ${checksum}`;
  });

await check('a token that is HTML stays text', async () => {
  await dropAndWait('html.tiktoken');
  await shows('tokens', html);
  assert.equal(await page.locator('main img, main b').count(), 0);
});

await check('nearest by embedding, while typing', async () => {
  await dropAndWait('int8.kron');
  await page.fill('#e', ' unfoxlike');
  await page.fill('#e', ' government');
  await page.waitForFunction(() => document.querySelector('#embedded .token')?.textContent === ' government');
});

const large = 'llama3.tokenizer.json';
if (existsSync(join(files, large)))
  await check(`${large} is quick`, async () => {
    await page.evaluate(() => {
      globalThis.longestWait = 0;
      let last = performance.now();
      globalThis.ticking = setInterval(() => {
        globalThis.longestWait = Math.max(globalThis.longestWait, performance.now() - last);
        last = performance.now();
      }, 5);
    });
    const loads = [];
    for (let i = 0; i < 3; ++i) loads.push(await dropAndWait(large));
    await shows('vocabularyName', '128,256 tokens');
    await shows('figures', '128,256');
    const wait = await page.evaluate(() => (clearInterval(globalThis.ticking), globalThis.longestWait));
    await page.fill('#q', ' language');
    await page.waitForFunction(() => document.querySelector('#nearest .token').textContent === ' language');
    const times = await page.evaluate(async () => {
      const times = [];
      for (const word of [' language', ' a', 'the', ' unfoxlike', '            ', 'internationalization', ' Straße', 'x']) {
        for (const posDim of [16, 32]) await globalThis.kronecker('nearest', 'vocabulary', word, { posDim, count: 12 });
        for (let i = 0; i < 5; ++i) {
          const start = performance.now();
          await globalThis.kronecker('nearest', 'vocabulary', word, { posDim: 32, count: 12 });
          times.push(performance.now() - start);
        }
      }
      return times.sort((a, b) => a - b);
    });
    const shown = (time) => `${time.toFixed(1)} ms`;
    const figures = `opened ${loads.map(shown).join(', ')} after it was dropped; nearest of 128,256 tokens: median ` +
      `${shown(times[times.length >> 1])}, longest ${shown(times.at(-1))}; the page waited ${shown(wait)} at most`;
    assert(Math.min(...loads) <= 3000 && times[times.length >> 1] <= 30 && wait <= 500, figures);
    return figures;
  });

await check('the same checksum without vector instructions', async () => {
  const plainPath = join(scratch, 'plain.html'), withWorker = '<script type="text/plain" id="worker">';
  writeFileSync(plainPath,
    readFileSync(pagePath, 'utf8').replace(withWorker, () => `${withWorker}WebAssembly.validate = () => false;\n`));
  await dropAndWait('english_8k.model');
  const checksum = await ask('checksum', 'vocabulary', {});
  const plain = await visit(pathToFileURL(plainPath).href);
  await plain.waitForFunction(() => document.getElementById('figures').textContent.includes('8,000'));
  assert.equal(JSON.stringify(await plain.evaluate(() => globalThis.kronecker('checksum', 'vocabulary', {}))), checksum);
  await plain.close();
});

// ---- widths, colors, axe --------------------------------------------------------------------------------

await page.goto('about:blank');
await page.goto(pageUrl);
await shows('figures', '8,000');
await dropAndWait('float32.kron');
await dropAndWait('gpt2.tokenizer.json').catch(() => dropAndWait('english_8k.model'));
await page.waitForTimeout(1000);
const axe = readFileSync(new URL('./node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
await page.evaluate(axe);
const docs = join(repository, 'docs');
for (const [width, height, colorScheme] of
  [[1200, 1000, 'light'], [1200, 1000, 'dark'], [390, 844, 'dark'], [390, 844, 'light'], [320, 640, 'light']])
  await check(`no finding by axe-core and nothing too wide, ${width} wide, ${colorScheme}`, async () => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => scrollTo(0, 0));
    await page.waitForTimeout(200);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(beyond <= 0, `at a width of ${width} the page is ${beyond} pixels too wide`);
    if (width === 1200 && colorScheme === 'light') await page.screenshot({ path: join(docs, 'page.png') });
    await page.evaluate(() => document.activeElement.blur());
    if (width === 390 && colorScheme === 'dark') {
      await page.evaluate(() => document.getElementById('words').scrollIntoView({ behavior: 'instant' }));
      await page.screenshot({ path: join(docs, 'page_phone.png') });
    }
    await page.screenshot({ path: join(folder, `whole_${width}_${colorScheme}.png`), fullPage: true });
    for (const withProblem of [false, true]) {
      await page.fill('#posDim', withProblem ? '256' : '16');
      await page.waitForFunction((wanted) => document.getElementById('problem').hidden !== wanted, withProblem);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), []);
    }
    await page.fill('#posDim', '16');
    await page.waitForFunction(() => document.getElementById('problem').hidden);
  });

// ---- nothing was said, nothing was asked for ------------------------------------------------------------

await check('no message on the console, no request leaves the page', () => {
  assert.deepEqual(said, []);
  assert.deepEqual(asked.filter((url) => !/^(file|blob|data|about):/.test(url)), []);
  return `${asked.length} requests`;
});

await context.close();
native.stdin.end();
rmSync(scratch, { recursive: true });
process.exitCode = failures > 0 ? 1 : 0;
