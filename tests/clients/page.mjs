// Runs each file of the job in LiteRT.js or onnxruntime-web, on pixels that are given and on photographs that the
// browser decodes and resizes itself; leaves the answers in `window.told`.
import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";
import * as ort from "onnxruntime-web";

const job = await (await fetch("/job/job.json")).json(), side = job.size, length = side * side * 3;
const given = new Uint8Array(await (await fetch("/job/pixels.bin")).arrayBuffer());
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = "/modules/onnxruntime-web/dist/";
await loadLiteRt("/modules/@litertjs/core/wasm/");

async function loaded(name) { // -> a function from pixels to probabilities
  if (name.endsWith(".onnx")) {
    const session = await ort.InferenceSession.create(`/export/${name}`);
    return async (pixels) => (await session.run({ image: new ort.Tensor("uint8", pixels, [1, side, side, 3]) })).probabilities.data;
  }
  const model = await loadAndCompile(`/export/${name}`, { accelerator: "wasm" });
  const floats = model.getInputDetails()[0].dtype === "float32";
  return async (pixels) => {
    const image = new Tensor(floats ? Float32Array.from(pixels) : pixels, [1, side, side, 3]);
    const { probabilities } = await model.run({ image });
    const answer = (await probabilities.data()).slice();
    image.delete();
    probabilities.delete();
    return answer;
  };
}

async function decoded(number) { // as docs/recipes/browser.md does
  const blob = await (await fetch(`/job/photo${number}`)).blob();
  const bitmap = await createImageBitmap(blob, { resizeWidth: side, resizeHeight: side, resizeQuality: "low" });
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return Uint8Array.from(context.getImageData(0, 0, side, side).data.filter((_, index) => index % 4 < 3));
}

const photographs = [];
for (let number = 0; number < job.photographs; number++) photographs.push(await decoded(number));
window.told = [];
for (const name of job.files) {
  try {
    const predict = await loaded(name), answers = [], own = [], times = [];
    for (let number = 0; number < job.images; number++) {
      const before = performance.now();
      answers.push(Array.from(await predict(given.slice(number * length, (number + 1) * length))));
      times.push(performance.now() - before);
    }
    for (const pixels of photographs) own.push(Array.from(await predict(pixels)));
    window.told.push({ name, answers, own, ms: times.sort((a, b) => a - b)[times.length >> 1] });
  } catch (error) {
    window.told.push({ name, error: String(error?.message ?? error) });
  }
}
window.done = true;
