// Kronecker embeddings in JavaScript: the C++ library as WebAssembly, for pages, workers, bundlers and Node.
// kronecker.d.ts says what everything is; calls.hpp is the other side.

import createModule from './module.mjs';
import { plain, simd } from './binaries.mjs';

/** Loads the library. */
export async function load() {
  const module = await createModule({ wasmBinary: await binary() });
  const call = (name, request) => {
    const text = module.stringToNewUTF8(JSON.stringify({ call: name, ...request }));
    const answer = module.UTF8ToString(module._kronecker_call(text));
    module._free(text);
    const result = JSON.parse(answer, (key, value) => (key === 'bytes' ? fromHex(value) : value));
    if (result.error !== undefined) throw new Error(result.error);
    return result;
  };
  return new Kronecker(module.FS, call);
}

class Kronecker {
  #files;
  #call;

  constructor(files, call) {
    this.#files = files;
    this.#call = call;
    this.version = call('version').version;
  }

  compare(a, b, { posDim = 32 } = {}) {
    return this.#call('compare', { a: hex(a), b: hex(b), posDim });
  }

  costs({ vocabSize, dModel, posDim = 32, bytesPerParameter = 4, tied = false }) {
    return this.#call('costs', { vocabSize, dModel, posDim, bytesPerParameter, tied });
  }

  open(...files) {
    const folder = '/opened';
    this.#files.mkdir(folder);
    this.#files.chdir(folder);  // so that messages begin with the name alone
    try {
      for (const { name, bytes } of files) this.#files.writeFile(name, bytes);
      const name = files.length === 1 ? files[0].name : '.';
      return new OpenFile(this.#call, this.#call('open', { path: name === '-' ? './-' : name }));
    } finally {
      for (const { name } of files)
        if (this.#files.analyzePath(name).exists) this.#files.unlink(name);
      this.#files.chdir('/');
      this.#files.rmdir(folder);
    }
  }
}

class OpenFile {
  #call;

  constructor(call, { handle, ...about }) {
    this.#call = (name, request) => call(name, { handle, ...request });
    Object.assign(this, about);
  }

  tokens({ only = 'all', containing = '', posDim = 32, first = 0, count = 100 } = {}) {
    return this.#call('tokens', { only, containing: hex(containing), posDim, first, count });
  }

  audit({ posDim = 32 } = {}) {
    return this.#call('audit', { posDim });
  }

  nearest(bytes, { count = 10, posDim = 32 } = {}) {
    return this.#call('nearest', { bytes: hex(bytes), count, posDim });
  }

  checksum({ posDim = 32, dModel = 64, seed = 1 } = {}) {
    return this.#call('checksum', { posDim, dModel, seed }).checksum;
  }

  close() {
    this.#call('close');
  }
}

/** The module with vector instructions, or the plain one where there are none. */
async function binary() {
  if (typeof DecompressionStream === 'function') {
    const unpacked = new Blob([fromBase64(simd)]).stream().pipeThrough(new DecompressionStream('gzip'));
    const bytes = await new Response(unpacked).arrayBuffer();
    if (WebAssembly.validate(bytes)) return bytes;
  }
  return fromBase64(plain);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function hex(bytes) {
  if (typeof bytes === 'string') bytes = new TextEncoder().encode(bytes);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(digits) {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
