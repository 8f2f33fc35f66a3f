/** Worker: the page's policy lets nothing compile WebAssembly, that of this worker's own answer does (web.py). */

export type Compiled = { module: WebAssembly.Module } | { problem: string };

onmessage = ({ data }: MessageEvent<string>) => {
  WebAssembly.compileStreaming(fetch(data)).then(
    (module) => {
      postMessage({ module } satisfies Compiled);
    },
    (error: unknown) => {
      postMessage({ problem: String(error) } satisfies Compiled);
    },
  );
};
