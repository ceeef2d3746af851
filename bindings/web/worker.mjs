// The library on a thread of its own, so that the page never waits: a message is [id, what to do, its arguments].

import { load } from './kronecker.mjs';

const library = load();
const files = {};  // the opened vocabulary and the opened saved embedding

const actions = {
  version: (kronecker) => kronecker.version,
  compare: (kronecker, ...words) => kronecker.compare(...words),
  costs: (kronecker, sizes) => kronecker.costs(sizes),
  open(kronecker, dropped) {
    const file = kronecker.open(...dropped);
    const kind = file.dModel === undefined ? 'vocabulary' : 'embedding';
    files[kind]?.close();
    files[kind] = file;
    return { kind, ...file };
  },
  tokens: (_, options) => files.vocabulary.tokens(options),
  audit: (_, options) => files.vocabulary.audit(options),
  nearest: (_, kind, ...query) => files[kind].nearest(...query),
  checksum: (_, kind, options) => files[kind].checksum(options),
};

self.onmessage = async ({ data: [id, action, ...given] }) => {
  try {
    self.postMessage([id, null, actions[action](await library, ...given)]);
  } catch (error) {
    self.postMessage([id, error.message]);
  }
};
