// Runs the models of onnx_cases in ONNX Runtime: every token and batches of many shapes must have our embeddings, to 1e-6;
// then the time of a forward pass against that of gathering rows of the table.
//     node run.mjs FOLDER VOCAB_SIZE D_MODEL      (where onnxruntime-node is installed)
import fs from "node:fs";
import { createRequire } from "node:module";

const ort = createRequire(process.cwd() + "/")("onnxruntime-node");
const [folder, vocabSize, dModel] = [process.argv[2], +process.argv[3], +process.argv[4]];
const options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
const open = (name) => ort.InferenceSession.create(`${folder}/${name}.onnx`, options);
const megabytes = (name) => (fs.statSync(`${folder}/${name}.onnx`).size / 1e6).toFixed(1);

let state = 1; // of a small generator, so that every run has the same batches
const random = (end) => (state = (state * 48271) % 2147483647) % end;
const randomIds = (count) => BigInt64Array.from({ length: count }, () => BigInt(random(vocabSize)));
const embed = async (session, ids, shape) =>
  (await session.run({ input_ids: new ort.Tensor("int64", ids, shape) })).embeddings;

for (const name of ["F32", "F16", "I8"]) {
  const bytes = fs.readFileSync(`${folder}/${name}.bin`);
  const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const session = await open(name);
  let largest = 0, batches = 0;
  const check = async (ids, shape) => {
    const out = await embed(session, ids, shape);
    if (out.dims.join() !== [...shape, dModel].join()) throw new Error(`${name}: shape ${out.dims} for ids ${shape}`);
    for (let i = 0; i < ids.length; ++i)
      for (let j = 0; j < dModel; ++j)
        largest = Math.max(largest, Math.abs(out.data[i * dModel + j] - expected[Number(ids[i]) * dModel + j]));
    ++batches;
  };
  for (let first = 0; first < vocabSize; first += 2048) {
    const count = Math.min(2048, vocabSize - first);
    await check(BigInt64Array.from({ length: count }, (_, i) => BigInt(first + i)), [1, count]);
  }
  for (let batch = 1; batch <= 8; ++batch)
    for (const sequence of [1, 2, 3, 7, 16, 64, 200, 512]) await check(randomIds(batch * sequence), [batch, sequence]);
  console.log(`${name}: ${megabytes(name)} MB, ${batches} batches, largest difference ${largest}`);
  if (!(largest <= 1e-6)) throw new Error(`${name} differs by ${largest}`);
}

const sessions = { table: await open("table"), F32: await open("F32"), F16: await open("F16"), I8: await open("I8") };
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const [batch, sequence] = [1, 512];
const nanoseconds = Object.fromEntries(Object.keys(sessions).map((name) => [name, []]));
for (let round = 0; round < 60; ++round) {
  const ids = randomIds(batch * sequence);
  for (const [name, session] of Object.entries(sessions)) {
    const start = process.hrtime.bigint();
    await embed(session, ids, [batch, sequence]);
    nanoseconds[name].push(Number(process.hrtime.bigint() - start) / (batch * sequence));
  }
}
for (const name of Object.keys(sessions))
  console.log(`${name}: ${megabytes(name)} MB, ${median(nanoseconds[name]).toFixed(0)} ns a token in batches of 1 x 512`);
