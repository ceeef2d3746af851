// The page: what is typed and dropped goes to the worker, and what it answers is shown. Texts become text nodes, never HTML.

const $ = (id) => document.getElementById(id);
const element = (name, attributes = {}, ...content) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
};
const drawn = (name, attributes, text = '') => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};
const whole = (number) => number.toLocaleString('en-US');
const counted = (number, what) => `${whole(number)} ${what}${number === 1 ? '' : 's'}`;
const short = (number) =>
  new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 }).format(number);
const hex = (byte) => byte.toString(16).toUpperCase().padStart(2, '0');
const token = (text) => element('code', { class: 'token' }, text);

// ---- the worker -----------------------------------------------------------------------------------------

const worker = new Worker(URL.createObjectURL(new Blob([$('worker').textContent], { type: 'text/javascript' })));
const waiting = new Map();
worker.onmessage = ({ data: [id, error, result] }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === null) resolve(result);
  else reject(new Error(error));
};
worker.onerror = (event) => say('worker', `The library could not be loaded: ${event.message}`);

let lastId = 0;
function send(request, transferred = []) {
  return new Promise((resolve, reject) => {
    waiting.set(++lastId, { resolve, reject });
    worker.postMessage([lastId, ...request], transferred);
  });
}
const ask = (...request) => send(request);
globalThis.kronecker = ask;  // for the console: await kronecker('compare', 'a', 'b', { posDim: 4 })

/** Asks and shows the answer; while one is awaited, only the newest of further requests of that name is kept. */
const busy = new Map();
async function show(name, request, display) {
  if (busy.has(name)) return void busy.set(name, [request, display]);
  busy.set(name, null);
  try {
    display(await ask(...request));
    say(name, '');
  } catch (error) {
    say(name, error.message);
  }
  const next = busy.get(name);
  busy.delete(name);
  if (next) show(name, ...next);
}

/** What is wrong, of all that can be. */
const problems = new Map();
function say(name, problem) {
  problems.set(name, problem);
  const all = [...new Set(problems.values())].filter(Boolean).join('\n');
  if ($('problem').textContent !== all) $('problem').textContent = all;
  $('problem').hidden = !all;
}

// ---- two words ------------------------------------------------------------------------------------------

function byteName(byte) {
  const named = { 0x09: 'tab', 0x0a: 'newline', 0x0d: 'carriage return', 0x20: 'space', 0x7f: 'delete' };
  if (named[byte]) return named[byte];
  if (byte < 0x20) return 'a control character';
  if (byte < 0x7f) return `“${String.fromCharCode(byte)}”`;
  return byte < 0xc0 ? 'inside a character' : 'the first of a character';
}
const glyph = (byte) => (byte === 0x20 ? '␣' : byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·');

function nameOfCell(comparison, posDim, position, byte) {
  const isLit = (code) => position < code.kept && code.bytes[position] === byte;
  const [a, b] = [isLit(comparison.a), isLit(comparison.b)];
  const by = a && b ? 'lit by both words' : a ? 'lit by the first word' : b ? 'lit by the second word' : 'not lit';
  return `Position ${position}, byte 0x${hex(byte)}, ${byteName(byte)}: cell ${byte} × ${posDim} + ${position} = ` +
    `${whole(byte * posDim + position)}, ${by}.`;
}

const regions = [
  [0, 32, 'control'], [48, 58, '0–9'], [65, 91, 'A–Z'], [97, 123, 'a–z'], [128, 192, 'continuation'], [192, 256, 'lead'],
];

/** The code's cells, bytes across and positions down; those that are lit can be walked through. */
function drawGrid(comparison, posDim) {
  const width = Math.max($('grid').clientWidth, 280), left = 62, top = 22;
  const height = Math.min(18, Math.max(7, Math.floor(420 / posDim)));
  const column = (width - left) / 256, mark = Math.max(column, 9);
  const svg = drawn('svg', {
    role: 'group', height: top + posDim * height + 2, viewBox: `0 0 ${width} ${top + posDim * height + 2}`,
    'aria-label': `The ${whole(comparison.codeDim)} cells of a code: bytes across, positions down`,
  });
  svg.append(drawn('rect', { class: 'field', x: left, y: top, width: width - left, height: posDim * height }));
  for (const [first, end, name] of regions) {
    const x = left + first * column;
    if (end < 256)
      svg.append(drawn('rect', { class: 'region', x, y: top, width: (end - first) * column, height: posDim * height }));
    svg.append(drawn('text', { x: x + (end - first) * column / 2, y: 14, 'text-anchor': 'middle', 'aria-hidden': true }, name));
  }
  const lit = [];
  for (let p = 0; p < posDim; ++p) {
    const y = top + p * height, a = comparison.a.kept > p, b = comparison.b.kept > p;
    svg.append(drawn('line', { class: 'row', x1: left, x2: width, y1: y, y2: y }));
    if (height >= 13 || p % 4 === 0)
      svg.append(drawn('text', { x: 20, y: y + height / 2 + 4, 'text-anchor': 'end', 'aria-hidden': true }, p));
    if (height >= 13)
      for (const [code, x] of [[a && comparison.a, 28], [b && comparison.b, 42]])
        if (code) svg.append(drawn('text', { class: 'glyph', x, y: y + height / 2 + 4, 'aria-hidden': true }, glyph(code.bytes[p])));
    const shared = comparison.shared.includes(p);
    const put = (code, kind, from, size) => {
      const byte = code.bytes[p], x = left + (byte + .5) * column - mark / 2;
      lit.push(drawn('rect', {
        class: `lit-${kind}`, x: Math.min(Math.max(x, left), width - mark), y: y + from + .5, width: mark, height: size - 1,
        tabindex: lit.length ? -1 : 0, role: 'img', 'aria-label': nameOfCell(comparison, posDim, p, byte),
        'data-position': p, 'data-byte': byte,
      }));
    };
    if (shared) put(comparison.a, 'both', 0, height);
    else {
      if (a) put(comparison.a, 'a', 0, height / 2);
      if (b) put(comparison.b, 'b', height / 2, height / 2);
    }
  }
  const here = drawn('rect', { class: 'here', visibility: 'hidden' });
  svg.append(...lit, here);

  const point = (position, byte) => {
    $('cell').textContent = nameOfCell(comparison, posDim, position, byte);
    const size = Math.max(column, 3);
    for (const [key, value] of Object.entries({
      x: left + (byte + .5) * column - size / 2, y: top + position * height, width: size, height, visibility: 'visible',
    })) here.setAttribute(key, value);
  };
  svg.addEventListener('pointermove', (event) => {
    const { position, byte } = event.target.dataset;
    if (position !== undefined) return point(Number(position), Number(byte));
    const box = svg.getBoundingClientRect(), scale = width / box.width;
    const p = Math.floor(((event.clientY - box.top) * scale - top) / height);
    const b = Math.floor(((event.clientX - box.left) * scale - left) / column);
    if (p >= 0 && p < posDim && b >= 0 && b < 256) point(p, b);
  });
  svg.addEventListener('pointerdown', (event) => event.target.focus?.());
  svg.addEventListener('focusin', ({ target }) => {
    for (const cell of lit) cell.setAttribute('tabindex', cell === target ? 0 : -1);
    point(Number(target.dataset.position), Number(target.dataset.byte));
    here.setAttribute('visibility', 'hidden');
  });
  svg.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    lit[Math.min(Math.max(lit.indexOf(document.activeElement) + step, 0), lit.length - 1)]?.focus();
  });
  $('grid').replaceChildren(svg);
}

let shownComparison;
function showComparison(comparison, words, posDim) {
  shownComparison = [comparison, words, posDim];
  drawGrid(comparison, posDim);
  const { a, b, shared, codeDim } = comparison;
  const cut = [a, b].map((code, i) =>
    code.kept < code.bytes.length ? ` “${words[i]}” is cut to ${code.kept} of its ${code.bytes.length} bytes.` : '');
  $('verdict').replaceChildren('Cosine ', element('strong', {}, comparison.cosine.toFixed(3)),
    `: they share ${counted(shared.length, 'cell')} of the ${a.kept} and ${b.kept} that they light.`, ...cut);
  $('formula').textContent = a.kept && b.kept
    ? `With m = ${shared.length} shared cells, lengths ${a.kept} and ${b.kept} and D = ${whole(codeDim)} cells in all, ` +
      `(m − La·Lb/D) / √(La (1 − La/D) · Lb (1 − Lb/D)) = ${comparison.cosine.toFixed(6)}. Lit cells hold ` +
      `${a.lit.toFixed(3)} in the first code and ${b.lit.toFixed(3)} in the second, all others ${a.unlit.toFixed(4)} and ` +
      `${b.unlit.toFixed(4)}.`
    : 'A word without bytes lights no cell, and its cosine with every other is 0.';
  const rows = Array.from({ length: Math.max(a.kept, b.kept) }, (_, p) => {
    const both = [a, b].flatMap((code) =>
      p < code.kept ? [`${hex(code.bytes[p])} ${byteName(code.bytes[p])}`, whole(code.cells[p])] : ['–', '–']);
    return row(p, ...both, shared.includes(p) ? 'yes' : 'no');
  });
  $('cells').tBodies[0].replaceChildren(...rows);
}

function row(head, ...cells) {
  return element('tr', {}, element('th', { scope: 'row' }, String(head)), ...cells.map((cell) => element('td', {}, cell)));
}

// ---- vocabularies ---------------------------------------------------------------------------------------

function showNearest(list, ties, { tokens, tiedWithLast }) {
  $(list).replaceChildren(...tokens.map(({ id, text, cosine }) => {
    const bar = element('span');
    bar.style.width = `${Math.max(cosine, 0) * 100}%`;
    return element('li', {}, element('span', {}, token(text)), element('div', { class: 'meter', 'aria-hidden': true }, bar),
      element('span', { class: 'number' }, cosine.toFixed(3)), element('span', { class: 'number id' }, whole(id)));
  }));
  $(ties).textContent = tiedWithLast ? `… and ${whole(tiedWithLast)} more as near as the last one.` : '';
}

function showAudit(audit, posDim) {
  const figures = [
    ['tokens', audit.tokens], ['are cut', audit.cut], ['have the code of another', audit.colliding],
    ['have the bytes of another', audit.sameBytes], ['have no bytes', audit.empty],
    [`of ${whole(audit.codeDim)} cells are lit by any`, audit.reachedCells],
  ];
  $('figures').replaceChildren(...figures.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, whole(value)))));
  $('posDims').tBodies[0].replaceChildren(...audit.posDims.map((choice) => {
    const isNow = choice.posDim === posDim;
    const made = row(choice.posDim + (isNow ? ' (now)' : ''), whole(choice.cut), whole(choice.colliding));
    if (isNow) made.className = 'now';
    return made;
  }));
  $('scripts').tBodies[0].replaceChildren(...audit.scripts.map(({ script, tokens, cut, colliding, posDimUncut, posDimApart }) =>
    row(script, whole(tokens), whole(cut), whole(colliding), String(posDimUncut ?? 'never'), String(posDimApart ?? 'never'))));
  const shown = audit.sharedCodes.slice(0, 12);
  $('groupsAbout').textContent = audit.groups === 0 ? 'None: all can be told apart.'
    : shown.length < audit.groups ? `The first ${shown.length} of ${counted(audit.groups, 'set')}:`
    : `${counted(audit.groups, 'set')}:`;
  $('groups').replaceChildren(...shown.map(({ count, sameBytes, tokens }) =>
    element('li', {}, ...tokens.flatMap(({ id, text }) => [token(text), element('span', { class: 'aside' }, ` ${whole(id)}, `)]),
      count > tokens.length ? `and ${whole(count - tokens.length)} more, ` : '',
      sameBytes ? 'of the same bytes' : 'equal once they are cut')));
}

const tokensAtATime = 25;
let firstToken = 0;
function showTokens({ found, tokens }) {
  $('found').textContent = found === 0 ? 'There is no such token.'
    : `${counted(found, 'token')}; ${whole(firstToken + 1)} to ${whole(firstToken + tokens.length)} are shown.`;
  $('tokens').tBodies[0].replaceChildren(...tokens.map(({ id, text, bytes, kind }) =>
    row(whole(id), token(text), element('span', { class: 'bytes' }, Array.from(bytes, hex).join(' ')), kind)));
  $('before').disabled = firstToken === 0;
  $('after').disabled = firstToken + tokens.length >= found;
}

async function open(files) {
  const names = files.map((file) => file.name).join(', ');
  $('opened').textContent = `Reading ${names} …`;
  say('open', '');
  try {
    const dropped = await Promise.all(files.map(async (file) => ({ name: file.name, bytes: await bytesOf(file) })));
    const about = await send(['open', dropped], dropped.map(({ bytes }) => bytes.buffer));
    if (about.kind === 'vocabulary') showVocabulary(about, names);
    else showEmbedding(about, names);
    return about;
  } catch (error) {
    $('opened').textContent = `${names} was not opened.`;
    say('open', error.message);
  }
}

async function bytesOf(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: it cannot be read; of a folder, drop the files in it`);
  }
}

function showVocabulary(about, names) {
  $('opened').replaceChildren(element('strong', {}, names), `: ${counted(about.size, 'token')}, ${about.format}.`);
  $('vocabularyName').textContent = `${names}, ${counted(about.size, 'token')}`;
  $('notes').replaceChildren(...about.notes.map((note) => element('li', {}, note)));
  firstToken = 0;
  isOpen.vocabulary = true;
  refresh('q', 'audit', 'tokens');
}

function showEmbedding(about, names) {
  $('opened').replaceChildren(element('strong', {}, names), ': a saved embedding, ',
    element('a', { href: '#embedding' }, 'shown below'), '.');
  const own = about.ownRows ? `, ${counted(about.ownRows, 'token')} with rows of their own` : '';
  $('embeddingOpened').replaceChildren(element('strong', {}, names), `: ${counted(about.size, 'token')}, ` +
    `d_model ${whole(about.dModel)}, pos_dim ${about.posDim}, rows of ${about.rows}${own}.`);
  $('embeddingSearch').hidden = false;
  isOpen.embedding = true;
  refresh('e');
}

// ---- costs ----------------------------------------------------------------------------------------------

function showCosts({ inputParameters, inputMemory, parametersWithHead, tokenBytesMemory }) {
  const megabytes = (bytes) => `${whole(Number((bytes / 1e6).toPrecision(4)))} MB`;
  const percent = ({ savedPercent }) => `${savedPercent.toFixed(2)} %`.replace('-', '−');
  const saves = inputMemory.table - inputMemory.kronecker;
  $('saved').replaceChildren(element('strong', {}, percent(inputParameters)),
    ` of the input’s parameters are saved, and ${megabytes(saves)}.`.replace('-', '−'));
  const line = (name, costs, shown) => row(name, shown(costs.table), shown(costs.kronecker), percent(costs));
  $('costTable').tBodies[0].replaceChildren(
    line('Parameters of the input', inputParameters, short), line('Memory of the input', inputMemory, megabytes),
    line('Parameters with the output head', parametersWithHead, short));
  $('savedAbout').textContent = `The memory includes ${megabytes(tokenBytesMemory)} of token bytes.` +
    ($('tied').checked ? ' The table was the output head as well: the model needs a head of its own now.' : '');
}

// ---- what is typed, and the link to it ------------------------------------------------------------------

const isOpen = { vocabulary: false, embedding: false };
const fields = ['posDim', 'a', 'b', 'q', 'e', 'only', 'containing', 'vocabSize', 'dModel', 'bytesPerParameter', 'tied'].map($);
const valueOf = (field) => (field.type === 'checkbox' ? String(field.checked) : field.value);
const defaults = new Map(fields.map((field) => [field, valueOf(field)]));
const numberIn = (id) => ($(id).value === '' ? null : Number($(id).value));

const views = {
  words: (posDim, words = [$('a').value, $('b').value]) =>
    show('words', ['compare', ...words, { posDim }], (answer) => showComparison(answer, words, posDim)),
  q: (posDim) => isOpen.vocabulary &&
    show('q', ['nearest', 'vocabulary', $('q').value, { posDim, count: 12 }], (found) => showNearest('nearest', 'ties', found)),
  e: () => isOpen.embedding &&
    show('e', ['nearest', 'embedding', $('e').value, { count: 12 }], (found) => showNearest('embedded', 'embeddedTies', found)),
  audit: (posDim) => isOpen.vocabulary && show('audit', ['audit', { posDim }], (audit) => showAudit(audit, posDim)),
  tokens: (posDim) => isOpen.vocabulary &&
    show('tokens', ['tokens', {
      only: $('only').value, containing: $('containing').value, posDim, first: firstToken, count: tokensAtATime,
    }], showTokens),
  costs: (posDim) => show('costs', ['costs', {
    vocabSize: numberIn('vocabSize'), dModel: numberIn('dModel'), posDim, tied: $('tied').checked,
    bytesPerParameter: numberIn('bytesPerParameter'),
  }], showCosts),
};
function refresh(...names) {
  for (const name of names) views[name](numberIn('posDim'));
}

function linkToThis() {
  const state = new URLSearchParams();
  for (const field of fields)
    if (valueOf(field) !== defaults.get(field)) state.set(field.id, valueOf(field));
  return `${location.href.split('#')[0]}#${state}`;
}

function followLink() {
  if (location.hash && !location.hash.includes('=')) return;  // a place on the page
  const state = new URLSearchParams(location.hash.slice(1));
  for (const field of fields) {
    const value = state.get(field.id) ?? defaults.get(field);
    if (field.type === 'checkbox') field.checked = value === 'true';
    else field.value = value;
    if (field.type === 'select-one' && field.selectedIndex < 0) field.value = defaults.get(field);
  }
  changed($('posDim'));
  refresh('words', 'q', 'e', 'audit', 'tokens', 'costs');
}

/** What else a field says, once it has changed. */
function changed(field) {
  if (field.id === 'posDim') $('posDimRange').value = field.value;
  for (const place of document.querySelectorAll('.posDim')) place.textContent = $('posDim').value;
}

const viewsOf = {
  posDim: ['words', 'q', 'costs', 'audit', 'tokens'], a: ['words'], b: ['words'], q: ['q'], e: ['e'], only: ['tokens'],
  containing: ['tokens'], vocabSize: ['costs'], dModel: ['costs'], bytesPerParameter: ['costs'], tied: ['costs'],
};
let remembered;
for (const field of fields)
  field.addEventListener('input', () => {
    if (['only', 'containing', 'posDim'].includes(field.id)) firstToken = 0;
    if (['vocabSize', 'dModel', 'bytesPerParameter'].includes(field.id)) $('model').value = '';
    changed(field);
    refresh(...viewsOf[field.id]);
    clearTimeout(remembered);
    remembered = setTimeout(() => history.replaceState(null, '', linkToThis()), 300);
  });
const enter = (id, value) => {
  $(id).value = value;
  $(id).dispatchEvent(new Event('input'));
};
$('posDimRange').addEventListener('input', () => enter('posDim', $('posDimRange').value));
$('model').addEventListener('input', () => {
  const model = $('model').value;
  if (!model) return;
  for (const [i, id] of ['vocabSize', 'dModel', 'bytesPerParameter'].entries()) enter(id, model.split(',')[i]);
  $('model').value = model;
});
for (const [id, step] of [['before', -tokensAtATime], ['after', tokensAtATime]])
  $(id).addEventListener('click', () => {
    firstToken = Math.max(firstToken + step, 0);
    refresh('tokens');
  });
$('copy').addEventListener('click', async () => {
  history.replaceState(null, '', linkToThis());
  try {
    await navigator.clipboard.writeText(location.href);
    $('copied').textContent = 'Copied; files are not in it.';
  } catch {
    $('copied').textContent = 'It is in the address bar; files are not in it.';
  }
});

// ---- files ----------------------------------------------------------------------------------------------

async function opened(files) {
  if (files.length === 0) return;
  const about = await open([...files]);
  if (about?.kind === 'vocabulary') enter('vocabSize', about.size);
}
$('file').addEventListener('change', async () => {
  await opened($('file').files);
  $('file').value = '';
});
for (const [type, isOver] of [['dragover', true], ['dragleave', false], ['drop', false]])
  addEventListener(type, (event) => {
    event.preventDefault();
    document.body.classList.toggle('dropping', isOver);
    if (type === 'drop') opened(event.dataTransfer.files);
  });

// ---- the first sight ------------------------------------------------------------------------------------

addEventListener('hashchange', followLink);
let drawnWidth = 0;
new ResizeObserver(([{ contentRect: { width } }]) => {
  if (shownComparison && width !== drawnWidth) drawGrid(shownComparison[0], shownComparison[2]);
  drawnWidth = width;
}).observe($('grid'));
followLink();
ask('version').then((version) => ($('version').textContent = version), (error) => say('worker', error.message));
const example = Uint8Array.from(atob($('example').textContent), (character) => character.charCodeAt(0));
open([new File([example], 'english_8k.model')]);
