// Does your pipeline answer as the model does?   import { check } from "./golden/check.mjs"; console.log(await check(predict))
// predict: (pixels, height, width) => probabilities; pixels is a Uint8Array of RGB, rows from the top. With onnxruntime-web:
//   const session = await ort.InferenceSession.create("model.onnx");
//   const predict = async (pixels, height, width) => (await session.run(
//     { image: new ort.Tensor("uint8", pixels, [1, height, width, 3]) })).probabilities.data;
export async function check(predict, model = "model.onnx", base = new URL(".", import.meta.url)) {
  const golden = await (await fetch(new URL("expected.json", base))).json();
  const [, height, width] = golden.input.shape, wanted = golden.artefacts[model];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  let worst = 0;
  for (const [number, image] of golden.images.entries()) {
    const file = await (await fetch(new URL(image.file, base))).blob();
    context.drawImage(await createImageBitmap(file), 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data.filter((_, index) => index % 4 < 3); // without alpha
    const got = await predict(Uint8Array.from(pixels), height, width);
    wanted.probabilities[number].forEach((share, label) => { worst = Math.max(worst, Math.abs(share - got[label])); });
  }
  return { ok: worst <= wanted.tolerance, worst, tolerance: wanted.tolerance };
}
