// Bundles every component of src/ for the browser: `node build.mjs [FOLDER]`, into pages/components/bundles by default.
//
// The first line of a bundle names two SHA-256: of the sources it was built from, and of the rest of the bundle.
// tests/test_frontend.py works out both without node, so that a forgotten build and an edited bundle are found.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const here = new URL(".", import.meta.url);
const folder = process.argv[2] ?? fileURLToPath(new URL("../pages/components/bundles/", here));
const components = ["case_watch", "filmstrip", "frame_layer", "frame_viewer", "glossary", "layer_card", "picture_grid"];

const styles = {
  name: "styles as text",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true, charset: "utf8" });
      return { contents: code.trim(), loader: "text" };
    }),
};

async function digestOfSources() {
  const sources = (await readdir(new URL("src/", here))).map((name) => `src/${name}`);
  const digest = createHash("sha256");
  for (const name of [...sources, "build.mjs", "package-lock.json", "tsconfig.json"].sort()) {
    const text = (await readFile(new URL(name, here), "utf8")).replaceAll("\r\n", "\n");
    digest.update(`${name}\0${text}\0`);
  }
  return digest.digest("hex");
}

const sources = await digestOfSources();
const { outputFiles } = await build({
  absWorkingDir: fileURLToPath(here),
  entryPoints: components.map((name) => `src/${name}.ts`),
  outdir: folder,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  plugins: [styles],
  write: false,
});
await mkdir(folder, { recursive: true });
for (const { path, text } of outputFiles) {
  const body = createHash("sha256").update(text).digest("hex");
  await writeFile(path, `// built by make frontend; sources ${sources}; bundle ${body}\n${text}`);
}
