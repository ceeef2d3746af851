// Runs models of onnx_cases in onnxruntime-web and in transformers.js: every token's vector must be the table's, which has
// the library's bits, to 1e-6 of its length, and ids that are out of range must be refused.
//     node run.mjs FOLDER      (where onnxruntime-web and @huggingface/transformers are installed)
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.cwd() + "/");
const ort = require("onnxruntime-web");
const { AutoModel, LogLevel, Tensor, env } = await import(pathToFileURL(require.resolve("@huggingface/transformers")));
const folder = path.resolve(process.argv[2]);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal"; // what is refused is expected
if (LogLevel) env.logLevel = LogLevel.NONE;

async function inWeb(file) {
  const session = await ort.InferenceSession.create(fs.readFileSync(file), { executionProviders: ["wasm"], logSeverityLevel: 4 });
  const type = session.inputMetadata?.[0]?.type ?? (file.includes("F16.chunks") ? "int32" : "int64");
  return async (ids) => {
    const data = type === "int32" ? Int32Array.from(ids) : BigInt64Array.from(ids, BigInt);
    const feeds = { input_ids: new ort.Tensor(type, data, [1, ids.length]) };
    return (await session.run(feeds, { logSeverityLevel: 4 })).embeddings;
  };
}

// As a repository of the hub has it: config.json and onnx/model.onnx.
async function inTransformers(file) {
  const repository = fs.mkdtempSync(path.join(os.tmpdir(), "kronecker_onnx_"));
  fs.mkdirSync(path.join(repository, "onnx"));
  fs.writeFileSync(path.join(repository, "config.json"), JSON.stringify({ model_type: "kronecker" }));
  fs.copyFileSync(file, path.join(repository, "onnx", "model.onnx"));
  env.allowRemoteModels = false;
  env.localModelPath = path.dirname(repository) + "/";
  const model = await AutoModel.from_pretrained(path.basename(repository), { dtype: "fp32", device: "cpu" });
  fs.rmSync(repository, { recursive: true });
  return async (ids) =>
    (await model({ input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]) })).embeddings;
}

async function check(name, embed, table, vocabSize) {
  let greatest = 0;
  for (let first = 0; first < vocabSize; first += 2048) {
    const ids = Array.from({ length: Math.min(2048, vocabSize - first) }, (_, i) => first + i);
    const [expected, found] = [await table(ids), await embed(ids)];
    if (found.dims.join() !== expected.dims.join()) throw new Error(`${name}: shape ${found.dims}`);
    const dModel = found.dims[2];
    for (let i = 0; i < ids.length; ++i) {
      let [squares, difference] = [0, 0];
      for (let j = i * dModel; j < (i + 1) * dModel; ++j) {
        squares += expected.data[j] ** 2;
        difference = Math.max(difference, Math.abs(found.data[j] - expected.data[j]));
      }
      if (difference > 0) greatest = Math.max(greatest, difference / Math.sqrt(squares));
    }
  }
  if (!(greatest <= 1e-6)) throw new Error(`${name} differs by ${greatest} of a vector's length`);
  for (const id of [-1, -vocabSize, vocabSize])
    if (await embed([id]).then(() => true, () => false)) throw new Error(`${name}: id ${id} is not refused`);
  console.log(`${name}: greatest difference ${greatest.toPrecision(2)} of a vector's length`);
}

const model = (name) => path.join(folder, `${name}.onnx`);
const vocabSize = 50257; // of gpt2, and as many made-up tokens
const version = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
for (const type of ["F32", "F16", "I8", "rounded_I8"]) {
  const table = await inWeb(model(`${type}.table`));
  for (const form of ["chunks", "bytes"])
    await check(`onnxruntime-web ${version("onnxruntime-web")}: ${type}.${form}`, await inWeb(model(`${type}.${form}`)), table, vocabSize);
  if (type !== "F16")
    await check(`transformers.js ${version("@huggingface/transformers")}: ${type}.chunks`, await inTransformers(model(`${type}.chunks`)), table, vocabSize);
}
