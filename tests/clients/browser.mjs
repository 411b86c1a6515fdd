// node browser.mjs EXPORT JOB CHROMIUM: serves page.html on loopback, opens it, and prints what it told, as JSON.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const here = fileURLToPath(new URL(".", import.meta.url)), [exported, job, chromium] = process.argv.slice(2);
const folders = { modules: join(here, "node_modules"), export: exported, job };
const types = { ".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname)).slice(1);
  const [first, ...rest] = path.split("/");
  const file = first in folders ? join(folders[first], ...rest) : join(here, path);
  createReadStream(file)
    .on("open", () => response.writeHead(200, { "Content-Type": types[extname(file)] ?? "application/octet-stream" }))
    .on("error", () => response.writeHead(404).end())
    .pipe(response);
}).listen(0, "127.0.0.1", async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox"], protocolTimeout: 0 });
  try {
    const page = await browser.newPage();
    const failed = new Promise((_, reject) => page.on("pageerror", reject));
    await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
    await Promise.race([failed, page.waitForFunction("window.done", { timeout: 1_200_000 })]);
    console.log(JSON.stringify({ version: await browser.version(), told: await page.evaluate(() => window.told) }));
  } finally {
    await browser.close();
    server.close();
  }
});
