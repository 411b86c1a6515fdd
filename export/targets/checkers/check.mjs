// Does your pipeline answer as the model does?   import { check } from "./golden/check.mjs"; console.log(await check(predict))
// predict: (pixels, height, width, channels) => probabilities; pixels is a Uint8Array of RGB, or of grey where that is what the
// model takes, rows from the top. With onnxruntime-web:
//   const session = await ort.InferenceSession.create("model.onnx");
//   const predict = async (pixels, ...shape) => (await session.run(
//     { image: new ort.Tensor("uint8", pixels, [1, ...shape]) })).probabilities.data;
// (on a GPU import "onnxruntime-web/webgpu" and take float32: the default import's WebGPU computes int8 and float16 wrongly).
// With LiteRT.js, check(predict, "model_int8.tflite"), with a model by loadAndCompile:
//   const predict = async (pixels, ...shape) => (await model.run(
//     { image: new Tensor(pixels, [1, ...shape]) })).probabilities.toTypedArray();
// Gives { ok, model, worst, tolerance }, and in unsure the images whose top probability is below the threshold with which the
// files were exported, where they were; throws an Error that says what is missing where it cannot compare.
export async function check(predict, model = "model.onnx", base = new URL(".", import.meta.url)) {
  const golden = await part(base, "expected.json", (response) => response.json());
  const wanted = golden.artefacts?.[model];
  if (!wanted) throw new Error(`the golden pack knows no ${model}, only ${Object.keys(golden.artefacts ?? {}).join(", ")}`);
  const [, height, width, channels] = golden.input.shape;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  let worst = 0;
  const limit = golden.reject_below ?? 0, unsure = [];
  for (const [number, image] of golden.images.entries()) {
    const bitmap = await part(base, image.file, async (response) => createImageBitmap(await response.blob()));
    context.drawImage(bitmap, 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data.filter((_, index) => index % 4 < channels); // without alpha
    const got = await predict(Uint8Array.from(pixels), height, width, channels), expected = wanted.probabilities[number];
    if (got?.length !== expected.length) throw new Error(`${model}: ${got?.length} numbers where ${expected.length} probabilities were expected`);
    if (Math.max(...got) < limit) unsure.push(image.file);
    expected.forEach((share, label) => { worst = Math.max(worst, Math.abs(share - got[label])); });
  }
  return { ok: worst <= wanted.tolerance, model, worst, tolerance: wanted.tolerance, ...(limit ? { unsure } : {}) };
}

async function part(base, name, read) {
  const url = new URL(name, base);
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await read(response);
  } catch (error) {
    throw new Error(`${url} of the golden pack cannot be read (${error.message}); serve the whole folder`);
  }
}
