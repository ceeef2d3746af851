// Compiles only if kronecker.d.ts says what the module has.

import { load, type Audit, type Nearest } from 'kronecker-embeddings';

const kronecker = await load();
const cosine: number = kronecker.compare('compute', new Uint8Array([1, 2]), { posDim: 16 }).cosine;
const file = kronecker.open({ name: 'v', bytes: new Uint8Array() });
const audit: Audit = file.audit({ posDim: 8 });
const nearest: Nearest = file.nearest('a', { count: 3 });
// @ts-expect-error: there is no such option
file.nearest('a', { pos_dim: 3 });
export { cosine, audit, nearest };
