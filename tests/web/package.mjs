// The package alone in Node, as `npm pack` makes it, with and without vector instructions.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { load } from 'kronecker-embeddings';

const model = readFileSync(new URL('../../../examples/data/english_8k.model', import.meta.url));
async function results() {
  const kronecker = await load();
  assert.equal(kronecker.compare('compute', 'computer', { posDim: 16 }).cosine.toFixed(3), '0.935');  // the paper's
  const { table, kronecker: rows } = kronecker.costs({ vocabSize: 131072, dModel: 4096, posDim: 32 }).inputParameters;
  assert.deepEqual([table, rows], [131072 * 4096, 256 * 32 * 4096]);
  const vocabulary = kronecker.open({ name: 'english_8k.model', bytes: model });
  assert.equal(vocabulary.size, 8000);
  assert.equal(vocabulary.nearest(' government').tokens[0].text, ' government');
  assert.throws(() => kronecker.open({ name: 'x', bytes: new Uint8Array() }), /^Error: x: expected a vocabulary, found an empty/);
  assert.throws(() => kronecker.compare('a', 'b', { posDim: 0 }), /pos_dim 0 is outside 1 to 255/);
  assert.throws(() => kronecker.compare('a', 'b', { posDim: 1.5 }), /1.5 is not a whole number/);
  const found = [vocabulary.checksum(), vocabulary.audit({ posDim: 4 }), vocabulary.nearest('xyz')];
  vocabulary.close();
  assert.throws(() => vocabulary.nearest('a'), /closed/);
  return found;
}
const withVectors = await results();
WebAssembly.validate = () => false;
assert.deepEqual(await results(), withVectors);
console.log('the package works in Node, with the same results without vector instructions');
